"""A stage whose parameters or code change while it runs ends in one line and leaves nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PARAMS = {
    "grid": {"seeds": [0]},
    "finetune": {"epochs": 1},
    "tasks": {"mine": {"positive": [1]}, "other": {}},
    "models": {"xs": {}, "m": {}},
    "methods": {"confidence": {"alpha_max": 0.5}, "naive": {}},
}
# A stage that something is edited under.
STUDENT = '''"""Student."""
from pathlib import Path
import edit
import w2s.core.determinism
from w2s.core import files
from w2s.core.stage import run


def main(task: str, weak: str, method: str) -> None:
    with files.atomic(Path("runs/student")) as out:
        out.mkdir()
        (out / "predictions").write_text("of the values at the start")
    edit.edit()


if __name__ == "__main__":
    run(main)
'''


def params(key: str, value: object) -> str:
    content = yaml.safe_load(yaml.safe_dump(PARAMS))
    *path, last = key.split(".")
    place = content
    for name in path:
        place = place[name]
    place[last] = value
    return f"Path('params.yaml').write_text({yaml.safe_dump(content)!r})"


def code(file: str, text: str) -> str:
    return f"file = Path({file!r}); file.write_text(file.read_text() + {text!r})"


EDITS = {
    "nothing": ("pass", None),
    "its method": (params("methods.confidence.alpha_max", 0.9), "params.yaml: methods.confidence was changed"),
    "its task": (params("tasks.mine.positive", [0]), "params.yaml: tasks.mine was changed"),
    "its model": (params("models.xs.finetune", {}), "params.yaml: models.xs was changed"),
    "hyperparameters": (params("finetune.epochs", 2), "params.yaml: finetune was changed"),
    "amid an edit": ("Path('params.yaml').write_text('grid: [')", "params.yaml: not valid YAML in line 1"),
    "another method": (params("methods.naive.harden", {}), None),
    "another task": (params("tasks.other.file", "x"), None),
    "the grid": (params("grid.seeds", [0, 1]), None),
    "its code": (code("w2s/core/determinism.py", "x = 1\n"), "w2s/core/determinism.py was changed"),
    "its own script": (code("stages/student.py", "x = 1\n"), "stages/student.py was changed"),
    "half a line of its code": (code("w2s/core/determinism.py", "x = (\n"), "w2s/core/determinism.py was changed"),
    "a comment": (code("w2s/core/determinism.py", "# x\n"), None),
    "code of another stage": (code("w2s/report/report.py", "x = 1\n"), None),
}


@pytest.mark.slow
@pytest.mark.parametrize("edited", EDITS)
def test_an_edit_while_a_stage_runs(edited: str, tmp_path: Path) -> None:
    edit, told = EDITS[edited]
    for path in (ROOT / "w2s").rglob("*.py"):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/__init__.py").touch()
    (tmp_path / "stages/student.py").write_text(STUDENT)
    (tmp_path / "edit.py").write_text(f"from pathlib import Path\n\n\ndef edit():\n    {edit}\n")
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    command = [sys.executable, "-m", "stages.student", "mine", "xs", "confidence"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (tmp_path / "runs/student").exists() == (told is None)
    assert (done.returncode, done.stdout) == (int(told is not None), "")
    if told is not None:
        assert done.stderr.startswith(f"error: {told}")
        assert done.stderr.count("\n") == 1
