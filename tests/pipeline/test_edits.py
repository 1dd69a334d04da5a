"""What is edited while a run goes on: real stages, one of which makes the edit that a user would make beside it."""

import json
from pathlib import Path

import pytest
import yaml

from tests.pipeline.conftest import Workspace

pytestmark = pytest.mark.slow

METHOD = "models/method/classification/confidence/0/method.json"
STUDENT = "student-classification@reviews-xs-m-confidence-0"


def edit_within(stage: Path, statement: str) -> None:
    """Let a stage's script begin with a statement, once."""
    done = "import os\nif not os.path.exists('edited'):\n    open('edited', 'w').close()\n"
    beginning = "def main("
    source = stage.read_text()
    at = source.index(":\n", source.index(beginning)) + 2
    lines = "".join(f"    {line}\n" for line in [*done.splitlines(), f"    {statement}"])
    stage.write_text(source[:at] + lines + source[at:])


def alpha(workspace: Workspace) -> tuple[float, float]:
    """The confidence loss's coefficient by which students were trained, and the one that dvc.lock says."""
    trained = json.loads((workspace.path / METHOD).read_text())["entry"]["loss"]["alpha_max"]
    locked = yaml.safe_load((workspace.path / "dvc.lock").read_text())["stages"]
    return trained, locked["method-classification@confidence-0"]["params"]["params.yaml"]["methods.confidence"]["loss"][
        "alpha_max"
    ]


def test_params_that_are_edited_meanwhile_belong_to_the_next_run(workspace: Workspace) -> None:
    workspace.set("methods.confidence.loss.alpha_max", 0.3)
    edited = "p = 'params.yaml'; t = open(p).read(); open(p, 'w').write(t.replace('alpha_max: 0.3', 'alpha_max: 0.9'))"
    edit_within(workspace.path / "stages/check.py", edited)
    run = ("python", "-m", "w2s", "reproduce", "--jobs", "2")
    workspace.run(*run)
    assert "alpha_max: 0.9" in (workspace.path / "params.yaml").read_text()
    assert alpha(workspace) == (0.3, 0.3)
    first = (workspace.path / "runs/student/reviews/xs/m/confidence/0/predictions.parquet").read_bytes()
    workspace.run(*run)
    assert alpha(workspace) == (0.9, 0.9)
    assert (workspace.path / "runs/student/reviews/xs/m/confidence/0/predictions.parquet").read_bytes() != first


@pytest.mark.parametrize(
    ("command", "file", "line", "refused"),
    [
        ("dvc repro", "w2s/methods/losses/confidence.py", "AND_MORE = 1", True),
        ("python -m w2s reproduce", "w2s/training/finetune.py", "AND_MORE = 1", True),
        ("python -m w2s reproduce", "w2s/training/finetune.py", "# A comment.", False),
    ],
)
def test_code_that_is_edited_between_stages(
    workspace: Workspace, command: str, file: str, line: str, refused: bool
) -> None:
    workspace.set("methods.confidence.loss.alpha_max", 0.3)
    edit_within(workspace.path / "stages/method.py", f"open({file!r}, 'a').write({line + chr(10)!r})")
    before = yaml.safe_load((workspace.path / "dvc.lock").read_text())["stages"][STUDENT]
    output = workspace.run(*command.split(), fails=refused)
    # Of the stage that makes the edit it is said that this was while it ran.
    assert (f"error: {file} was changed " in output) == refused
    after = yaml.safe_load((workspace.path / "dvc.lock").read_text())["stages"][STUDENT]
    assert (after == before) == refused
