"""`dvc repro` on a micro grid: determinism, what hides from whom, and errors as a user meets them."""

import hashlib
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.pipeline.conftest import Workspace

# Each of these runs for seconds.
pytestmark = pytest.mark.slow

BRIER = """
from torch import Tensor

from w2s.core.params import Fraction


def brier(logits: Tensor, labels: Tensor, progress: float, *, weight: Fraction) -> Tensor:
    return weight * (logits.sigmoid() - labels).square().mean()
"""


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
    losses = workspace.path / "w2s/methods/losses"
    (losses / "brier.py").write_text(BRIER)
    workspace.set("methods.brier", {"loss": {"function": "brier", "weight": 0.5}})
    workspace.set("grid.classification.methods", ["naive", "confidence", "brier"])
    workspace.set("grid.ladder", ["xs", "s", "m", "chess-xs", "chess-s", "chess-m"])
    workspace.set("models.s.steps", 20)
    ran = workspace.stages_run(workspace.run("dvc", "repro"))
    assert {name for name in ran if name.startswith("student")} == {"student-classification@reviews-xs-m-brier-0"}
    kinds = {name.split("@")[0].split("-")[0] for name in ran}
    assert kinds == {"code", "check", "base", "method", "student", "evaluate", "plot"}
    assert "base@s-0" in ran


def test_a_failed_stage_says_why(workspace: Workspace) -> None:
    workspace.set("methods.confidence.loss.alpha_max", 2.0)
    output = workspace.run("python", "-m", "w2s", "reproduce", fails=True)
    assert (
        "error: params.yaml: methods.confidence.loss: alpha_max: must be less than or equal to 1 (found 2.0)" in output
    )
    assert "error: a stage failed; what it said stands above" in output
    assert "Traceback" not in output


def test_labels_and_students_need_no_truth(workspace: Workspace) -> None:
    """Nothing hidden is read undeclared: with the truth gone, label and student give the same bits."""
    labels = workspace.path / "data/weak_labels/reviews/xs/0/student.parquet"
    predictions = workspace.path / "runs/student/reviews/xs/m/confidence/0/predictions.parquet"
    before = digest(labels), digest(predictions)
    for part in ("student", "validation", "test", "supervisor"):
        (workspace.path / f"data/tasks/reviews/0/truth/{part}.parquet").unlink()
    shutil.rmtree(labels.parent)
    shutil.rmtree(predictions.parent)
    workspace.run("python", "-m", "stages.label", "reviews", "xs", "0")
    workspace.run("python", "-m", "stages.student", "reviews", "xs", "m", "confidence", "0")
    assert (digest(labels), digest(predictions)) == before


def test_examples_meet_by_id_not_by_row(workspace: Workspace) -> None:
    """Weak labels in another row order train the same student."""
    labels = workspace.path / "data/weak_labels/reviews/xs/0/student.parquet"
    predictions = workspace.path / "runs/student/reviews/xs/m/naive/0/predictions.parquet"
    before = digest(predictions)
    pq.write_table(pq.read_table(labels).sort_by("p"), labels)
    workspace.run("python", "-m", "stages.student", "reviews", "xs", "m", "naive", "0")
    assert digest(predictions) == before


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
    ],
)
def test_a_bad_grid_is_told_in_one_line(workspace: Workspace, key: str, value: object, message: str) -> None:
    workspace.set(key, value)
    output = workspace.run("python", "-m", "stages.check", fails=True)
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in output


def test_a_bad_grid_stops_before_anything_runs(workspace: Workspace) -> None:
    workspace.set("grid.seeds", [])
    assert workspace.stages_run(workspace.run("dvc", "repro", fails=True)) <= {"code", "check"}


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
    ("key", "value", "message"),
    [
        ("methods.confidence.loss.alpha_max", 1.5, "methods.confidence.loss: alpha_max"),
        ("methods.confidence.loss.alpha_maxx", 0.5, "did you mean 'alpha_max'?"),
        (
            "methods.confidence.loss.function",
            "confidance",
            "methods.confidence.loss.function: unknown name 'confidance'",
        ),
    ],
)
def test_a_bad_method_stops_before_its_students(workspace: Workspace, key: str, value: object, message: str) -> None:
    workspace.set(key, value)
    output = workspace.run("dvc", "repro", fails=True)
    assert message in output
    assert "Traceback" not in output
    assert workspace.stages_run(output) <= {"code", "check", "method-classification@confidence-0"}


@pytest.mark.parametrize(
    ("damage", "stage", "message"),
    [
        ("data/tasks/reviews/0/inputs/student.parquet", ["label", "reviews", "xs", "0"], "not a whole Parquet file"),
        (
            "data/weak_labels/reviews/xs/0/student.parquet",
            ["student", "reviews", "xs", "m", "naive", "0"],
            "not a whole",
        ),
        ("models/base/0/m/model.safetensors", ["ceiling", "reviews", "m", "naive", "0"], "damaged model"),
        ("models/supervisor/reviews/xs/0/head.safetensors", ["label", "reviews", "xs", "0"], "damaged model"),
        ("runs/ceiling/reviews/m/naive/0/predictions.parquet", ["evaluate"], "not a whole Parquet file"),
    ],
)
def test_a_truncated_file_is_named(workspace: Workspace, damage: str, stage: list[str], message: str) -> None:
    path = workspace.path / damage
    content = path.read_bytes()
    path.unlink()  # never write through a link into the cache
    path.write_bytes(content[: len(content) // 2])
    output = workspace.run("python", "-m", f"stages.{stage[0]}", *stage[1:], fails=True)
    error = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(error) == 1
    assert message in error[0]
    assert damage.rsplit("/", 1)[0] in error[0]
    assert not list(workspace.path.rglob(".*.tmp"))


def test_labels_of_other_examples_are_refused(workspace: Workspace) -> None:
    labels = workspace.path / "data/weak_labels/reviews/xs/0/student.parquet"
    table = pq.read_table(labels)
    labels.unlink()
    pq.write_table(table.slice(1), labels)
    output = workspace.run("python", "-m", "stages.student", "reviews", "xs", "m", "naive", "0", fails=True)
    assert "student.parquet: ids do not match the inputs (1 missing, 0 unknown)" in output
