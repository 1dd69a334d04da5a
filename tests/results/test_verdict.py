"""The verdict, in real git repositories with small made-up results."""

import csv
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from w2s.__main__ import main
from w2s.results.tables import COLUMNS

Said = Callable[[], tuple[int, str, str]]
ACCURACY = {"supervisor": 0.58, "ceiling": 0.97, "student": 0.71}


def git(*arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments], check=True, capture_output=True)


def write_csv(path: Path, rows: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS[path.name], restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def results(
    shift: float = 0.0,
    md5: str = "a",
    seeds: tuple[int, ...] = (0, 1),
    methods: tuple[str, ...] = ("naive",),
    ceilings: tuple[str, ...] = ("naive",),
    reports: str = "reports",
    **params: object,
) -> None:
    """Results of one pair: `shift` moves the first method's student, `md5` marks its trained output."""
    cells = [{"task": "reviews", "weak": "xs", "strong": "l", "method": m, "seed": s} for m in methods for s in seeds]
    for cell in cells:
        cell["student_accuracy"] = ACCURACY["student"] + shift
        cell["ceiling"] = cell["method"] if cell["method"] in ceilings else ceilings[0]
    write_csv(Path(reports, "results.csv"), cells)

    def row(role: str, weak: str, strong: str, method: str, value: float) -> dict:
        name = {"task": "reviews", "role": role, "weak": weak, "strong": strong, "method": method, "metric": "accuracy"}
        return name | {"value": value, "low": value - 0.015, "high": value + 0.015}

    students = [row("student", "xs", "l", m, ACCURACY["student"] + shift * (m == methods[0])) for m in methods]
    pgr = [student | {"metric": "pgr", "value": 1 / 3, "low": 0.25, "high": 0.4125} for student in students]
    others = [row("supervisor", "xs", "", "", ACCURACY["supervisor"])]
    others += [row("ceiling", "", "l", m, ACCURACY["ceiling"] - 0.1 * (m != "naive")) for m in ceilings]
    write_csv(Path(reports, "summary.csv"), [*others, *students, *pgr])
    outs = {f"runs/student/reviews/xs/l/{m}/{s}": md5 for m in methods for s in seeds}
    outs |= {"runs/supervisor/reviews/xs/0": "b", "data/weak_labels/reviews/xs/0": "c", "reports/figures": md5}
    stages = {
        f"stage@{k}": {"cmd": "x", "outs": [{"path": path, "hash": "md5", "md5": value}]}
        for k, (path, value) in enumerate(outs.items())
    }
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
    Path("runs/student/reviews/xs/l/naive/0").mkdir(parents=True, exist_ok=True)
    Path("params.yaml").write_text(
        yaml.safe_dump({"grid": {"reports": reports, "seeds": list(seeds)}, "evaluate": {"confidence": 0.9}} | params)
    )


def fields(lines: list[str]) -> list[list[str]]:
    """The cells of a printed table: columns are at least two spaces apart."""
    return [re.split(r"  +", line.strip()) for line in lines]


def commit() -> None:
    git("add", "-f", "reports", "dvc.lock", "params.yaml")
    git("commit", "-m", "results")


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository in which the results stand in a subfolder, committed."""
    project = tmp_path / "project"
    project.mkdir()
    monkeypatch.chdir(project)
    git("init", str(tmp_path))
    results()
    commit()
    return project


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """Run the command; its exit code and what it printed on both streams."""

    def run() -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["w2s", "verdict"])
        code = main()
        return code, *capsys.readouterr()

    return run


def test_the_table_leads_from_supervisor_to_ceiling(said: Said) -> None:
    _, out, _ = said()
    title, _, *table = out.splitlines()[:4]
    assert title == "Accuracy on test inputs (mean over seeds), and performance gap recovered with its 90% interval"
    assert fields(table) == [
        ["task", "weak", "strong", "method", "supervisor", "student", "ceiling", "PGR"],
        ["reviews", "xs", "l", "naive", "0.580", "0.710", "0.970", "0.33 [0.25, 0.41]"],
    ]


def test_names_that_look_like_numbers_stay_as_they_are(said: Said) -> None:
    results(methods=("naive", "1e3"))
    commit()
    _, out, _ = said()
    assert fields(out.splitlines()[4:5])[0][3] == "1e3"


def test_a_student_stands_beside_its_own_ceiling(said: Said) -> None:
    results(methods=("naive", "generative"), ceilings=("naive", "generative"))
    commit()
    code, out, _ = said()
    assert code == 0
    assert fields(out.splitlines()[3:5]) == [
        ["reviews", "xs", "l", "naive", "0.580", "0.710", "0.970", "0.33 [0.25, 0.41]"],
        ["reviews", "xs", "l", "generative", "0.580", "0.710", "0.870", "0.33 [0.25, 0.41]"],
    ]


def test_another_grids_results_are_compared_in_their_own_folder(said: Said) -> None:
    """As a lab leaves it: results of a second grid are committed, its lock is not."""
    results(reports="reports/suite", methods=("naive", "confidence"))
    git("add", "-f", "reports/suite")
    git("commit", "-m", "suite")
    code, out, err = said()
    assert (code, err) == (0, "")
    assert out.endswith(
        "Verdict: EQUAL RESULTS. results.csv is the committed one.\n"
        "  Bits not compared: the committed dvc.lock lacks 2 of 6 trained outputs; results.csv is equal.\n"
    )
    results(reports="reports/suite", methods=("naive", "confidence"), shift=0.01)
    code, out, _ = said()
    assert code == 0
    assert "Verdict: WITHIN INTERVALS. All 4 accuracies lie in their committed intervals.\n" in out
    assert out.endswith("lacks 2 of 6 trained outputs; results.csv differs.\n")
    results(reports="reports/suite", methods=("naive", "confidence"), shift=0.1)
    assert said()[0] == 1
    results(reports="reports/unseen")
    assert said()[1].endswith("Verdict: no committed results to compare with.\n")


def test_results_without_any_committed_lock(said: Said) -> None:
    git("rm", "--cached", "dvc.lock")
    git("commit", "-m", "no lock")
    assert "EQUAL RESULTS" in said()[1]


def test_an_undefined_pgr_is_flagged_with_its_reason(said: Said) -> None:
    path = Path("reports/summary.csv")
    lines = path.read_text().splitlines()
    assert ",pgr," in lines[-1]
    path.write_text("\n".join([*lines[:-1], lines[-1].split(",pgr,")[0] + ",pgr,,,,gap of 2.10 points is under 5", ""]))
    _, out, _ = said()
    row, note = out.splitlines()[3:5]
    assert fields([row])[0][-2:] == ["0.970", "n/a (1)"]
    assert note == "  (1) no PGR: gap of 2.10 points is under 5"


def test_bit_identical(said: Said) -> None:
    results()
    code, out, err = said()
    assert (code, err) == (0, "")
    assert out.endswith("Verdict: BIT-IDENTICAL. All 4 trained outputs and results.csv are the committed ones.\n")


def test_only_trained_outputs_count(said: Said) -> None:
    lock = yaml.safe_load(Path("dvc.lock").read_text())
    for stage in lock["stages"].values():
        if stage["outs"][0]["path"] == "reports/figures":
            stage["outs"][0]["md5"] = "drawn by another font"
    Path("dvc.lock").write_text(yaml.safe_dump(lock))
    assert "BIT-IDENTICAL" in said()[1]


def test_within_intervals(said: Said) -> None:
    results(shift=0.01, md5="z")
    code, out, _ = said()
    assert code == 0
    assert "Verdict: WITHIN INTERVALS. All 3 accuracies lie in their committed intervals.\n" in out
    assert out.endswith("  2 of 4 trained outputs differ in bits; results.csv differs.\n")


def test_other_bits_with_equal_results_are_not_called_identical(said: Said) -> None:
    results(md5="z")
    code, out, _ = said()
    assert code == 0
    assert "WITHIN INTERVALS" in out
    assert "2 of 4 trained outputs differ in bits; results.csv is equal." in out


def test_not_reproduced_names_the_rows_and_the_parameters(said: Said) -> None:
    results(shift=0.05, md5="z", finetune={"learning_rate": 0.1})
    code, out, _ = said()
    assert code == 1
    verdict, rows, parameters = out.split("\n\n")[2:]
    assert verdict == (
        "Verdict: NOT REPRODUCED. 1 of 3 accuracies lie outside their committed intervals.\n"
        "  2 of 4 trained outputs differ in bits; results.csv differs."
    )
    assert fields(rows.splitlines()) == [
        ["task", "role", "weak", "strong", "method", "here", "committed"],
        ["reviews", "student", "xs", "l", "naive", "0.7600", "0.7100 [0.6950, 0.7250]"],
    ]
    assert parameters == (
        "Parameters that differ, committed -> here (a variant is not a reproduction):\n"
        "  finetune.learning_rate: absent -> 0.1\n"
    )


def test_another_grid_is_not_a_reproduction_even_with_equal_numbers(said: Said) -> None:
    results(seeds=(0,), methods=("naive", "confidence"))
    code, out, _ = said()
    assert code == 1
    assert "NOT REPRODUCED. 0 of 3 accuracies lie outside" in out
    title, *rows = out.split("\n\n")[-2].splitlines()
    assert title == "The grids differ; cells that were not compared (2):"
    assert fields(rows) == [
        ["task", "weak", "strong", "method", "ceiling", "seed"],
        ["committed only", "reviews", "xs", "l", "naive", "naive", "1"],
        ["here only", "reviews", "xs", "l", "confidence", "naive", "0"],
    ]
    assert out.endswith("  grid.seeds: [0, 1] -> [0]\n")


def test_long_lists_are_shortened(said: Said) -> None:
    results(seeds=tuple(range(20)), models={f"m{k:02}": k for k in range(15)})
    _, out, _ = said()
    assert "not compared (18)" in out
    assert "  ... and 8 more\n" in out
    assert out.endswith("  models.m08: absent -> 8\n  ... and 6 more\n")  # grid.seeds, then m0 … m8


def test_parameters_that_only_look_different_are_not_listed(said: Said) -> None:
    path = Path("params.yaml")
    path.write_text("# a comment\n" + path.read_text())
    assert "Parameters" not in said()[1]


def test_nothing_committed(said: Said, work: Path) -> None:
    git("rm", "-r", "--cached", "reports")
    git("commit", "-m", "no reports")
    code, out, _ = said()
    assert code == 0
    assert out.endswith("\n\nVerdict: no committed results to compare with.\n")


def test_no_commit_at_all(said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    monkeypatch.chdir(fresh)
    git("init")
    results()
    assert said()[0] == 0


def test_not_in_git(said: Said, monkeypatch: pytest.MonkeyPatch, work: Path) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(work.parent))
    os.rename(work.parent / ".git", work.parent / "gone")
    code, _, err = said()
    assert code == 1
    assert err == f"error: {work} is not in a git repository, so there are no committed results\n"


@pytest.mark.parametrize("name", ["reports/results.csv", "reports/summary.csv", "dvc.lock", "params.yaml"])
def test_missing_files(said: Said, name: str) -> None:
    Path(name).unlink()
    assert said() == (1, "", f"error: {name} does not exist, so there are no results yet: run `dvc repro` first\n")


def test_a_fresh_clone_has_not_reproduced_anything(said: Said) -> None:
    Path("runs").rename("elsewhere")
    code, out, err = said()
    assert (code, out) == (1, "")
    assert err == "error: nothing has been trained here (these reports came with git): run `dvc repro` first\n"


WHOLE = "not a whole table of `evaluate`"
FITS = "does not fit reports/results.csv"


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("reports/results.csv", "task,weak", "task,feeble", WHOLE),
        ("reports/results.csv", ",1,,0.71,,,naive,,,,,,,,,,,", ",1,,0.7", WHOLE),
        ("reports/summary.csv", "0.71", "o.71", FITS),
        ("reports/summary.csv", "reviews,ceiling", "other,ceiling", FITS),
        ("dvc.lock", "md5: a", "md4: a", "not a lock file of DVC"),
        ("dvc.lock", "schema:", "[", "not YAML"),
        ("dvc.lock", "stages:", "steps:", "not a lock file of DVC"),
    ],
)
@pytest.mark.parametrize("where", ["", "HEAD:"])
def test_damaged_files_are_named(said: Said, where: str, name: str, old: str, new: str, message: str) -> None:
    text = Path(name).read_text()
    assert old in text
    Path(name).write_text(text.replace(old, new))
    if where:
        commit()
        Path(name).write_text(text)
    code, _, err = said()
    remedy = "; nothing to compare with" if where else "; delete it, and `dvc repro` makes it anew"
    assert (code, err) == (1, f"error: {where}{name}: {message}{remedy if name.endswith('.csv') else ''}\n")


@pytest.mark.parametrize("name", ["reports/results.csv", "reports/summary.csv"])
def test_binary_rubbish_and_emptiness_are_named(said: Said, name: str) -> None:
    Path(name).write_bytes(b"\xff\xfe\x00")
    assert said()[2].startswith(f"error: {name}: cannot be read")
    Path(name).write_text("")
    assert said()[2] == f"error: {name}: {WHOLE}; delete it, and `dvc repro` makes it anew\n"


def test_the_command_line() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "w2s", "verdict"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0, done.stderr
    assert "BIT-IDENTICAL" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
