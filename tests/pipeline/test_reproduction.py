"""`dvc repro` on a micro grid: determinism, what hides from whom, and errors as a user meets them."""

import hashlib
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from stages import ceiling, check, evaluate, label, student
from tests.pipeline.conftest import Workspace
from w2s.core.errors import UserError

# Each of these runs for seconds.
pytestmark = pytest.mark.slow

BRIER = """
from torch import Tensor

from w2s.core.params import Fraction


def brier(logits: Tensor, labels: Tensor, progress: float, *, weight: Fraction) -> Tensor:
    return weight * (logits.sigmoid() - labels).square().mean()
"""

STUDENT = partial(student.main, "reviews", "xs", "m", "naive", 0)
WHOLE = "not a whole Parquet file"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_results_are_there_and_nothing_runs_twice(workspace: Workspace) -> None:
    reports = workspace.path / "reports"
    names = {str(path.relative_to(reports)) for path in reports.rglob("*") if path.is_file()}
    assert {"metrics.json", "results.csv", "summary.csv", "report.html", "figures/scaling.svg"} <= names
    output = workspace.run("dvc", "repro")
    assert workspace.stages_run(output) == set()
    assert "up to date" in output
    assert "bit-identical" in workspace.run("python", "-m", "w2s", "verdict").lower()


def test_a_bare_clone_gets_the_same_bits(workspace: Workspace) -> None:
    """Every stage of every setting once more, with outputs and cache gone: one at a time, where it had been four."""
    before = (workspace.path / "dvc.lock").read_text()
    workspace.git("clean", "-xdfq", "code", "data", "models", "runs")
    for name in ("cache", "tmp"):
        shutil.rmtree(workspace.path / ".dvc" / name)
    workspace.run("python", "-m", "w2s", "reproduce", "--jobs", "1")
    assert (workspace.path / "dvc.lock").read_text() == before
    assert workspace.git("status", "--porcelain") == ""
    assert "up to date" in workspace.run("dvc", "repro")
    assert "bit-identical" in workspace.run("python", "-m", "w2s", "verdict").lower()


def test_a_forced_rerun_leaves_the_lock_as_it_is(workspace: Workspace) -> None:
    """Plain `dvc repro` gives the bits of `w2s reproduce`: a stage of each kind, and of each setting."""
    before = (workspace.path / "dvc.lock").read_text()
    stages = [
        "code",
        "check",
        "prepare-classification@reviews-0",
        "base@xs-0",
        "supervise-generation@endgames-chess-xs-0",
        "label-classification@reviews-xs-0",
        "gather-classification@reviews-xs-0",
        "simulate-classification@reviews-random-errors-0",
        "ceiling-classification@reviews-m-naive-0",
        "control-classification@reviews-m-0",
        "student-classification@reviews-xs-m-confidence-0",
        "student-preference@preferences-xs-m-generative-0",
        "student-generation@endgames-chess-xs-chess-m-bootstrap-0",
        "evaluate",
        "plot",
    ]
    output = workspace.run("dvc", "repro", "--force", "--single-item", *stages)
    assert workspace.stages_run(output) == set(stages)
    assert (workspace.path / "dvc.lock").read_text() == before


def test_another_loss_or_rung_makes_no_student_anew(workspace: Workspace) -> None:
    def made() -> set[tuple[str, int]]:
        """Every file that a stage made, and when."""
        files = [path for name in ("data", "models", "runs") for path in (workspace.path / name).rglob("*")]
        return {(str(path.relative_to(workspace.path)), path.stat().st_mtime_ns) for path in files if path.is_file()}

    before = made()
    losses = workspace.path / "w2s/methods/losses"
    (losses / "brier.py").write_text(BRIER)
    workspace.set("methods.brier", {"loss": {"function": "brier", "weight": 0.5}})
    workspace.set("grid.classification.methods", ["naive", "confidence", "brier"])
    workspace.set("grid.ladder", ["xs", "s", "m", "chess-xs", "chess-s", "chess-m"])
    workspace.set("models.s.steps", 20)
    workspace.run("python", "-m", "w2s", "reproduce", "--jobs", "2")
    anew = {name for name, _ in made() - before if not name.startswith(("models/method/", "data/checked"))}
    student, rung = "runs/student/reviews/xs/m/brier/0/", "models/base/0/s/"
    assert {f"{student}predictions.parquet", f"{rung}model.safetensors"} <= anew
    assert [name for name in anew if not name.startswith((student, rung))] == []
    assert workspace.stages_run(workspace.run("dvc", "repro")) == set()


def test_a_failed_stage_says_why(workspace: Workspace) -> None:
    workspace.set("methods.confidence.loss.alpha_max", 2.0)
    output = workspace.run("python", "-m", "w2s", "reproduce", fails=True)
    assert (
        "error: params.yaml: methods.confidence.loss: alpha_max: must be less than or equal to 1 (found 2.0)" in output
    )
    assert "error: a stage failed; what it said stands above" in output
    assert "Traceback" not in output


def test_labels_and_students_need_no_truth_and_meet_examples_by_id(workspace: Workspace) -> None:
    """Nothing hidden is read undeclared: with the truth gone they give the same bits; and in another row order, too."""
    labels = workspace.path / "data/weak_labels/reviews/xs/0/student.parquet"
    predictions = workspace.path / "runs/student/reviews/xs/m/confidence/0/predictions.parquet"
    before = digest(labels), digest(predictions)
    for part in ("student", "validation", "test", "supervisor"):
        (workspace.path / f"data/tasks/reviews/0/truth/{part}.parquet").unlink()
    shutil.rmtree(labels.parent)
    shutil.rmtree(predictions.parent)
    workspace.run("python", "-m", "stages.label", "reviews", "xs", "0")
    assert digest(labels) == before[0]
    pq.write_table(pq.read_table(labels).sort_by("p"), labels)
    workspace.run("python", "-m", "stages.student", "reviews", "xs", "m", "confidence", "0")
    assert digest(predictions) == before[1]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("grid.classification.tasks", ["reviewz"], "did you mean 'reviews'?"),
        ("grid.classification.methods", ["naive", "confidense"], "did you mean 'confidence'?"),
        ("grid.ladder", ["xs", "mm"], "grid.ladder: unknown name 'mm'"),
        (
            "grid.classification.weak",
            ["s"],
            "grid.classification.weak (must be in grid.ladder): unknown name 's' (known: ",
        ),
        ("grid.seeds", [], "grid.seeds"),
        ("grid.preference.tasks", ["sciq"], "'sciq' is a classification task; list it under grid.classification"),
        ("grid.generation.methods", ["bootstrap", "confidence"], "generation has cross-entropy alone"),
        ("grid.preference.ceilings", [], "ceilings: must have at least one item"),
        ("methods.confidence.loss.alpha_max", 1.5, "methods.confidence.loss: alpha_max"),
        ("methods.confidence.loss.alpha_maxx", 0.5, "did you mean 'alpha_max'?"),
        (
            "methods.confidence.loss.function",
            "confidance",
            "methods.confidence.loss.function: unknown name 'confidance'",
        ),
    ],
)
def test_a_fault_of_params_is_told_in_one_line(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, key: str, value: object, message: str
) -> None:
    workspace.set(key, value)
    monkeypatch.chdir(workspace.path)
    with pytest.raises(UserError) as error:
        check.main()
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "value"), [("grid.seeds", []), ("methods.confidence.loss.alpha_max", 1.5)], ids=["grid", "method"]
)
def test_a_fault_of_params_stops_before_anything_runs(workspace: Workspace, key: str, value: object) -> None:
    workspace.set(key, value)
    output = workspace.run("dvc", "repro", fails=True)
    assert "Traceback" not in output
    assert workspace.stages_run(output) <= {"code", "check"}


def test_a_model_too_large_for_the_machine_stops_before_anything_is_fetched(workspace: Workspace) -> None:
    huge = {
        "family": "hub",
        "repository": "o/n",
        "revision": "main",
        "parameters": 10**13,
        "finetune": {"tune": "lora"},
    }
    for key, value in {
        "models.huge": huge,
        "grid.ladder": ["xs", "chess-xs", "chess-s", "chess-m", "m", "huge"],
        "grid.classification.strong": ["m", "huge"],
    }.items():
        workspace.set(key, value)
    output = workspace.run("dvc", "repro", fails=True)
    (error,) = (line for line in output.splitlines() if line.startswith("error: "))
    assert error.startswith("error: params.yaml: models.huge: too large for this machine: tune: lora takes ")
    assert error.endswith("; try gradient_checkpointing: true, a shorter context or a smaller model")
    assert workspace.stages_run(output) == {"code", "check"}


@pytest.mark.parametrize(
    ("damage", "stage", "message"),
    [
        ("data/tasks/reviews/0/inputs/student.parquet", partial(label.main, "reviews", "xs", 0), WHOLE),
        ("data/weak_labels/reviews/xs/0/student.parquet", STUDENT, WHOLE),
        ("models/base/0/m/model.safetensors", partial(ceiling.main, "reviews", "m", "naive", 0), "damaged model"),
        ("models/supervisor/reviews/xs/0/head.safetensors", partial(label.main, "reviews", "xs", 0), "damaged model"),
        ("runs/ceiling/reviews/m/naive/0/predictions.parquet", evaluate.main, WHOLE),
    ],
)
def test_a_truncated_file_is_named(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, damage: str, stage: Callable[[], None], message: str
) -> None:
    path = workspace.path / damage
    content = path.read_bytes()
    path.unlink()  # never write through a link into the cache
    path.write_bytes(content[: len(content) // 2])
    monkeypatch.chdir(workspace.path)
    with pytest.raises(UserError) as error:
        stage()
    assert message in str(error.value)
    assert damage.rsplit("/", 1)[0] in str(error.value)
    assert not list(workspace.path.rglob(".*.tmp"))


def test_labels_of_other_examples_are_refused(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = workspace.path / "data/weak_labels/reviews/xs/0/student.parquet"
    table = pq.read_table(labels)
    labels.unlink()
    pq.write_table(table.slice(1), labels)
    monkeypatch.chdir(workspace.path)
    with pytest.raises(UserError, match=r"student.parquet: ids do not match the inputs \(1 missing, 0 unknown\)"):
        STUDENT()
