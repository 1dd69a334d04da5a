"""The verdict, in real git repositories with results of made-up predictions; what differs is planted."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from scipy import stats

from tests.results import made_up
from w2s.__main__ import main
from w2s.results import answers
from w2s.results.evaluate import evaluate

Said = Callable[[], tuple[int, str, str]]
STUDENT = ("reviews", "student", "xs", "l", "naive")
RUN = "runs/student/reviews/xs/l/naive/{}/predictions.parquet"
GRAPH = {
    "stages": {
        "code": {"cmd": "x", "outs": ["code"]},
        "supervise": {"cmd": "x", "outs": ["runs/supervisor"]},
        "student": {"cmd": "x", "outs": ["runs/student"]},
        "evaluate": {"cmd": "x", "outs": [{"${grid.reports}": {"cache": False}}], "metrics": []},
        "plot": {"cmd": "x", "outs": []},
    }
}


def git(*arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments], check=True, capture_output=True)


def lock(finetune: str = "a", supervisor: str = "b", student: str = "c") -> None:
    """Write a dvc.lock of two stages and of the fingerprints that they depend on."""

    def entry(out: str, md5: str, *deps: tuple[str, str]) -> dict:
        files = [{"path": path, "md5": value} for path, value in deps]
        return {"cmd": "x", "deps": files, "outs": [{"path": out, "md5": md5}]}

    settings = ("code/settings.json", finetune)
    stages = {
        "student@reviews-0": entry("runs/student/reviews", student, settings, ("runs/supervisor/reviews", supervisor)),
        "supervise@reviews-0": entry("runs/supervisor/reviews", supervisor, settings),
        "code": entry("code", finetune),
    }
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))


def answered_cells() -> list[tuple[answers.Cell, answers.Answered]]:
    return list(answers.parse(Path("reports/answers.parquet").read_bytes(), "").items())


def report() -> None:
    """Evaluate the predictions, and lay a figure, a page and an environment beside the tables."""
    evaluate(made_up.parameters(), Path("reports"))
    Path("reports/figures").mkdir(exist_ok=True)
    Path("reports/figures/pgr.svg").write_text("<svg/>")
    Path("reports/report.html").write_text("computed on a Pentium")
    Path("reports/environment.json").write_text(json.dumps({"processor": "Pentium", "torch": "0.1"}))


def move(seed: int, count: int) -> None:
    """Let a student say the opposite of its first `count` final answers by id, and evaluate anew."""
    path = Path(RUN.format(seed))
    table = pq.read_table(path, partitioning=None).sort_by("id")
    p = table["p"].to_numpy().copy()
    last = np.flatnonzero(table["step"].to_numpy() == table["step"].to_numpy().max())[:count]
    p[last] = 1 - p[last]
    pq.write_table(table.set_column(table.schema.get_field_index("p"), table.schema.field("p"), [p]), path)
    report()
    lock(student="moved")


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository in which the results stand in a subfolder, committed."""
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    git("init", str(tmp_path))
    made_up.make(Path(), made_up.parameters())
    Path("dvc.yaml").write_text(yaml.safe_dump(GRAPH, sort_keys=False))
    params = {"grid": {"reports": "reports"}, "evaluate": {"confidence": 0.95}}
    Path("params.yaml").write_text(yaml.safe_dump(params))
    report()
    lock()
    git("add", "-f", "reports", "dvc.lock", "dvc.yaml", "params.yaml")
    git("commit", "-m", "results")
    return project


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """Run the command; its exit code and what it printed on both streams."""

    def run() -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["w2s", "verdict"])
        code = main()
        return code, *capsys.readouterr()

    return run


def test_bit_identical(said: Said) -> None:
    code, out, err = said()
    assert (code, err) == (0, "")
    assert "Verdict: BIT-IDENTICAL. Every trained output and every file of the report is the committed one" in out
    assert "First stage" not in out
    lines = out.splitlines()
    here = next(number for number, line in enumerate(lines) if line.startswith("  processor: "))
    assert lines[here].endswith(" (here)")
    assert lines[here + 1].split() == ["Pentium", "(committed)"]
    assert any(line.startswith("  instruction set: ") for line in lines)


def test_the_page_may_name_another_machine(said: Said) -> None:
    Path("reports/report.html").write_text("computed on a 486")
    assert "BIT-IDENTICAL" in said()[1]


@pytest.mark.parametrize("name", ["figures/pgr.svg", "summary.csv", "report.html", "environment.json", "metrics.json"])
def test_a_report_that_lacks_a_file_is_not_bit_identical(said: Said, name: str) -> None:
    path = Path("reports", name)
    content = path.read_bytes()
    path.unlink()
    code, out, err = said()
    if name == "summary.csv":
        assert (code, err) == (
            1,
            "error: reports/summary.csv does not exist, so there are no results yet: run `dvc repro` first\n",
        )
        return
    assert code == 0
    assert "Verdict: THE SAME ANSWERS" in out
    assert f"1 files of the report are missing or differ:\n    reports/{name}\n" in out
    path.write_bytes(content)
    assert "BIT-IDENTICAL" in said()[1]


def test_a_drawing_of_its_own_is_not_bit_identical(said: Said) -> None:
    Path("reports/figures/more.svg").write_text("<svg/>")
    Path("reports/figures/pgr.svg").write_text("<svg></svg>")
    code, out, _ = said()
    assert code == 0
    assert "THE SAME ANSWERS" in out
    assert "    reports/figures/pgr.svg\n    reports/figures/more.svg\n" in out


def test_the_same_answers(said: Said) -> None:
    """Of all predictions two differ."""
    move(seed=0, count=2)
    code, out, _ = said()
    total = sum(len(cell.answers) for cell in answers.parse(Path("reports/answers.parquet").read_bytes(), "").values())
    assert code == 0
    assert "Verdict: THE SAME ANSWERS. At least 99.9% of all predictions say the same" in out
    assert f"  2 of {total} predictions differ.\n" in out
    assert "  1 of 2 trained outputs differ in bits; " in out
    assert "First stage that differs: student@reviews-0.\n  All that it depends on is the same: this processor" in out


def test_a_claim_that_turned_makes_answers_other_ones(said: Said) -> None:
    path = Path("reports/claims.json")
    content = json.loads(path.read_text())
    claim = content["claims"][0]
    claim["verdict"] = "does not hold" if claim["verdict"] == "holds" else "holds"
    path.write_text(json.dumps(content))
    code, out, _ = said()
    assert code == 0
    assert "Verdict: WITHIN THE INTERVAL OF A NEW REPLICATE" in out
    assert f"  Claims whose verdict changed: {claim['id']} in {claim['setting']}.\n" in out


def test_a_claim_that_came_later_and_is_not_tested_changes_no_verdict(said: Said) -> None:
    path = Path("reports/claims.json")
    content = json.loads(path.read_text())
    content["claims"].append(content["claims"][0] | {"id": "moons-are-round", "verdict": "not tested"})
    path.write_text(json.dumps(content))
    _, out, _ = said()
    assert "Verdict: THE SAME ANSWERS" in out


def test_within_the_interval_of_a_new_replicate(said: Said) -> None:
    """A student changes a tenth of its answers under one of three seeds: too many for the same answers."""
    old = answers.parse(Path("reports/answers.parquet").read_bytes(), "")
    move(seed=0, count=30)
    new = answers.parse(Path("reports/answers.parquet").read_bytes(), "")
    (cell,) = (cell for cell in new if new[cell] != old[cell])
    assert old[cell].different(new[cell]) == 30
    code, out, _ = said()
    assert code == 0
    assert "Verdict: WITHIN THE INTERVAL OF A NEW REPLICATE" in out
    assert "  30 of " in out
    assert "  1 models answer otherwise, 0 of them outside the interval of new seeds:\n" in out
    row = next(line for line in out.splitlines() if line.startswith("  within"))
    assert row.split()[1:7] == ["reviews", "student", "xs", "l", "naive", "0"]


def test_the_interval_is_that_of_the_mean_of_as_many_new_seeds(said: Said) -> None:
    """By the prediction interval of scipy's t for the mean of k draws beside n: a shift of all seeds is seen sooner."""
    old = [answered.accuracy for cell, answered in answered_cells() if cell[:5] == STUDENT]
    for seed in range(3):
        move(seed=seed, count=30)
    _, out, _ = said()
    row = next(line for line in out.splitlines() if line.startswith(("  within", "  outside")))
    low, high = (float(bound.strip("[],")) for bound in row.split()[-2:])
    interval = stats.t.interval(0.95, 2, np.mean(old), np.std(old, ddof=1) * np.sqrt(1 / 3 + 1 / 3))
    assert (low, high) == pytest.approx(interval, abs=1e-4)
    new = [answered.accuracy for cell, answered in answered_cells() if cell[:5] == STUDENT]
    assert row.split()[0] == ("within" if low <= np.mean(new) <= high else "outside")


@pytest.mark.parametrize("key", ["methods", "finetune"])
def test_other_parameters_are_no_reproduction_even_within_the_interval(said: Said, key: str) -> None:
    move(seed=0, count=30)
    params = yaml.safe_load(Path("params.yaml").read_text())
    altered = {"methods": {"naive": {"finetune": {"epochs": 3}}}, "finetune": {"epochs": 3}}[key]
    Path("params.yaml").write_text(yaml.safe_dump(params | {key: altered}))
    code, out, _ = said()
    assert code == 1
    assert "Verdict: NOT REPRODUCED. " in out
    assert "Parameters that they depend on are other ones: a variant is not a reproduction.\n" in out
    assert next(line for line in out.splitlines() if line.startswith("  within")).split()[2] == "student"


def test_a_new_entry_that_no_cell_names_is_no_variant(said: Said) -> None:
    move(seed=0, count=30)
    params = yaml.safe_load(Path("params.yaml").read_text())
    Path("params.yaml").write_text(yaml.safe_dump(params | {"methods": {"mine": {"finetune": {"epochs": 3}}}}))
    code, out, _ = said()
    assert code == 0
    assert "Verdict: WITHIN THE INTERVAL OF A NEW REPLICATE" in out
    assert "  methods.mine.finetune.epochs: absent -> 3\n" in out


def test_not_reproduced_names_the_cells_the_stage_and_the_parameters(said: Said) -> None:
    move(seed=1, count=290)
    lock(finetune="z", supervisor="moved", student="moved")
    params = yaml.safe_load(Path("params.yaml").read_text())
    Path("params.yaml").write_text(yaml.safe_dump(params | {"finetune": {"learning_rate": 0.1}}))
    code, out, _ = said()
    assert code == 1
    assert "Verdict: NOT REPRODUCED. " in out
    row = next(line for line in out.splitlines() if line.startswith("  outside"))
    assert row.split()[1:7] == ["reviews", "student", "xs", "l", "naive", "1"]
    assert "First stage that differs: supervise@reviews-0.\n" in out
    assert "  What it depends on differs, too: code/settings.json.\n" in out
    assert "  finetune.learning_rate: absent -> 0.1\n" in out


def test_another_grid_is_not_a_reproduction_even_with_equal_numbers(said: Said) -> None:
    evaluate(made_up.parameters(seeds=(0, 1)), Path("reports"))
    code, out, _ = said()
    assert code == 1
    assert "NOT REPRODUCED" in out
    assert "The grids differ; cells that were not compared (" in out
    assert "  committed only  reviews" in out
    assert "  ... and " in out


def test_without_a_committed_lock_answers_are_compared(said: Said) -> None:
    git("rm", "--cached", "dvc.lock")
    git("commit", "-m", "no lock")
    code, out, _ = said()
    assert code == 0
    assert "THE SAME ANSWERS" in out
    assert "Bits not compared: the committed dvc.lock lacks 2 of 2 trained outputs" in out


def test_nothing_committed(said: Said) -> None:
    git("rm", "-r", "--cached", "reports")
    git("commit", "-m", "no reports")
    code, out, _ = said()
    assert code == 0
    assert out.endswith("\n\nVerdict: no committed results to compare with.\n")


def test_not_in_git(said: Said, monkeypatch: pytest.MonkeyPatch, work: Path) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(work.parent))
    os.rename(work.parent / ".git", work.parent / "gone")
    code, _, err = said()
    assert code == 1
    assert err == f"error: {work} is not in a git repository, so there are no committed results\n"


@pytest.mark.parametrize("name", ["reports/answers.parquet", "reports/claims.json", "dvc.lock", "params.yaml"])
def test_missing_files(said: Said, name: str) -> None:
    Path(name).unlink()
    assert said() == (1, "", f"error: {name} does not exist, so there are no results yet: run `dvc repro` first\n")


def test_a_fresh_clone_has_not_reproduced_anything(said: Said) -> None:
    Path("runs").rename("elsewhere")
    code, out, err = said()
    assert (code, out) == (1, "")
    assert err == "error: nothing has been trained here (these reports came with git): run `dvc repro` first\n"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("reports/answers.parquet", "not a whole table of `evaluate`"),
        ("reports/claims.json", "not the claims that `evaluate` judged"),
        ("dvc.lock", "not a lock file of DVC"),
    ],
)
@pytest.mark.parametrize("where", ["", "HEAD:"])
def test_damaged_files_are_named(said: Said, where: str, name: str, message: str) -> None:
    content = Path(name).read_bytes()
    Path(name).write_text("rubbish: []\n")
    if where:
        git("commit", "-am", "damage")
        Path(name).write_bytes(content)
    code, _, err = said()
    assert (code, err) == (1, f"error: {where}{name}: {message}\n")


def test_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "w2s", "verdict"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0, done.stderr
    assert "BIT-IDENTICAL" in done.stdout
