"""The scheduler, on the micro grid with stubs for stages: it leaves what `dvc repro` alone would have."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.pipeline.conftest import Workspace

# Each of these runs for seconds.
pytestmark = pytest.mark.slow

STUDENTS = [f"student-classification@reviews-xs-m-{method}-0" for method in ("naive", "confidence")]


def lock(workspace: Workspace) -> dict:
    return yaml.safe_load((workspace.path / "dvc.lock").read_text())


def test_a_comment_reruns_only_the_fingerprints(stubbed: Workspace) -> None:
    with (stubbed.path / "w2s/training/finetune.py").open("a") as file:
        file.write("# A comment.\n")
    assert stubbed.stages_run(stubbed.run("dvc", "repro")) == {"code"}


def test_a_line_of_a_loss_reruns_its_students_as_dvc_does(stubbed: Workspace, tmp_path: Path) -> None:
    loss = stubbed.path / "w2s/methods/losses/confidence.py"
    loss.write_text(loss.read_text().replace("1 - alpha", "1.0 - alpha"))
    shutil.copytree(stubbed.path, tmp_path / "other", symlinks=True)
    other = Workspace(tmp_path / "other")
    ran = stubbed.stages_run(stubbed.run("dvc", "repro"))
    assert ran == {"code", "check", "method-classification@confidence-0", STUDENTS[1], "evaluate", "plot"}
    other.run("python", "-m", "w2s", "reproduce", "--jobs", "1")
    assert lock(other) == lock(stubbed)
    assert stubbed.stages_run(stubbed.run("dvc", "repro")) == set()


def test_what_was_computed_comes_back_from_the_run_cache(stubbed: Workspace) -> None:
    """As when a run was killed before it wrote dvc.lock. Folders without weights are there again, too."""
    before = lock(stubbed)
    ladder = {name: entry for name, entry in before["stages"].items() if name.startswith("base@")}
    (stubbed.path / "dvc.lock").write_text(yaml.safe_dump(before | {"stages": ladder}))
    for name in ("models/method", "models/supervisor", "models/student", "runs"):
        shutil.rmtree(stubbed.path / name)
    (stubbed.path / "stub.py").write_text("raise SystemExit('nothing is to run')\n")
    # What git tracks is in no run cache, so `evaluate` runs, and fails; all before it is recorded.
    output = stubbed.run("python", "-m", "w2s", "reproduce", "--jobs", "2", fails=True)
    assert "nothing is to run" in output
    assert "failed to reproduce 'evaluate'" in output
    assert "error: a stage failed; what it said stands above" in output
    assert "Traceback" not in output
    assert lock(stubbed)["stages"] == {
        name: entry for name, entry in before["stages"].items() if name not in ("evaluate", "plot")
    }
    assert list((stubbed.path / "models/student/reviews/xs/m/naive/0").iterdir()) == []
    assert (stubbed.path / "runs/student/reviews/xs/m/naive/0/file").exists()


def test_the_lock_stands_in_the_order_of_the_graph(stubbed: Workspace) -> None:
    file = stubbed.path / "dvc.lock"
    content = lock(stubbed)
    content["stages"] = dict(reversed(content["stages"].items()))
    del content["stages"][STUDENTS[0]]
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    stubbed.run("python", "-m", "w2s", "reproduce")
    kinds = list(dict.fromkeys(name.split("@")[0] for name in lock(stubbed)["stages"]))
    graph = yaml.safe_load((stubbed.path / "dvc.yaml").read_text())["stages"]
    assert kinds == [name for name in graph if name in kinds]
