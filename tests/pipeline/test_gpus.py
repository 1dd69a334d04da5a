"""The scheduler gives each stage GPUs of its own. None is needed here: CUDA_VISIBLE_DEVICES says which there are."""

from pathlib import Path

import pytest
import yaml

from tests.pipeline.kills import Pipeline

pytestmark = pytest.mark.slow

STAGE = '''"""Writes which GPUs it has, and fails if another stage has one of them at the same time."""

import os
import time
from pathlib import Path

from w2s.core.stage import run


def main(task: str, strong: str, method: str, seed: int) -> None:
    gpus = os.environ["CUDA_VISIBLE_DEVICES"]
    marks = [Path(".dvc/tmp", f"busy {gpu}") for gpu in gpus.split(",") if gpu]
    for mark in marks:
        mark.touch(exist_ok=False)
    time.sleep(0.5)
    for mark in marks:
        mark.unlink()
    Path("runs").mkdir(exist_ok=True)
    Path("runs", f"{strong} {seed}").write_text(gpus)


if __name__ == "__main__":
    run(main)
'''
GRAPH = {
    "show": {
        "matrix": {"strong": ["l", "gpt2"], "seed": [0, 1, 2]},
        "cmd": "python -m stages.show reviews ${item.strong} naive ${item.seed}",
        "outs": ["runs/${item.strong} ${item.seed}"],
    }
}


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    """Three stages of one process and three of two."""
    made = Pipeline(tmp_path)
    (tmp_path / "stages/show.py").write_text(STAGE)
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": GRAPH}))
    params = yaml.safe_load((tmp_path / "params.yaml").read_text())
    params["models"]["gpt2"]["finetune"]["processes"] = 2
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    return made


def gpus(pipeline: Pipeline, given: str) -> dict[str, list[str]]:
    """Those of each stage, in a run that is given these."""
    pipeline.environment["CUDA_VISIBLE_DEVICES"] = given
    done = pipeline.reproduce()
    assert done.returncode == 0, done.stderr
    return {path.name: path.read_text().split(",") for path in (pipeline.path / "runs").iterdir()}


def test_each_stage_has_as_many_gpus_as_processes_to_itself(pipeline: Pipeline) -> None:
    found = gpus(pipeline, "5,6,7")
    assert len(found) == 6
    assert {gpu for own in found.values() for gpu in own} == {"5", "6", "7"}
    for name, own in found.items():
        assert len(set(own)) == (2 if name.startswith("gpt2") else 1)


def test_without_gpus_none_are_named(pipeline: Pipeline) -> None:
    assert list(gpus(pipeline, "").values()) == [[""]] * 6
