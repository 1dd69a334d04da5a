"""Several processes of one stage do what one does, to within rounding, and end together."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from safetensors.numpy import load_file

from stages import student
from tests.training import kills
from w2s.core import files, ranks
from w2s.core.errors import UserError
from w2s.training import state

ROOT = Path(__file__).parents[2]
CELL = ("mine", "xs", "l")
# Of weights near 0.1 and of P(true), after eight updates: sums of gradients are rounded in another order.
TOLERANCE = 1e-4
# Softmax does not see what is added to all keys. Gradients there are nothing but rounding, which AdamW makes large.
WITHOUT_EFFECT = "query_key_value.bias"
SECONDS = 60  # until something must have happened
# Stages of the repository under test, which save after every update.
STAGES = f"""from w2s.training import state

__path__ = [{str(ROOT / "stages")!r}]
state.SECONDS = 0.0
state.SHARE = 1e9
"""


@pytest.fixture(params=["classification"])
def setting(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A repository of this setting, in which this process now stands. Its last batch is of one example."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    kills.make(request.param)
    put(batch_size=53)
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/__init__.py").write_text(STAGES)
    return request.param


def put(**hparams: object) -> None:
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["finetune"] |= hparams
    Path("params.yaml").write_text(yaml.safe_dump(params))


def start(method: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "stages.student", *CELL, method, "0"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(method: str) -> str:
    """What the stage says, which ends well."""
    process = start(method)
    said, _ = process.communicate()
    assert process.returncode == 0, said
    return said


def until_saved(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Both processes of the stage, the first one first, once it has saved a state."""
    deadline = time.monotonic() + SECONDS
    while not list(state.FOLDER.rglob("state.safetensors")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    found = psutil.Process(process.pid).children()
    assert len(found) == 2
    return sorted(found, key=lambda rank: rank.environ()["W2S_RANK"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "method", "micro_batch"),
    [("classification", "texts", 32), ("classification", "stop", "auto"), ("generation", "naive", "auto")],
    indirect=["setting"],
)
def test_two_processes_learn_and_write_what_one_does(setting: str, method: str, micro_batch: int | str) -> None:
    put(micro_batch=micro_batch)
    found = []
    for processes in (1, 2):
        put(processes=processes)
        if processes == 1:
            student.main(*CELL, method, 0)
        else:
            run(method)
        table = files.read_predictions(files.run("student", *CELL, method, 0) / "predictions.parquet")
        weights = load_file(files.model("student", *CELL, method, 0) / "model.safetensors")
        found.append((kills.outputs(method).keys(), table, weights))
        kills.remove(method)
    (one_names, one, one_weights), (two_names, two, two_weights) = found
    assert two_names == one_names
    assert not list(Path().rglob("*.tmp*"))
    for name, weight in one_weights.items():
        if not name.endswith(WITHOUT_EFFECT):
            np.testing.assert_allclose(two_weights[name], weight, atol=TOLERANCE, rtol=0)
    assert two.drop("p" if setting == "classification" else []).equals(
        one.drop("p" if setting == "classification" else [])
    )
    if setting == "classification":
        np.testing.assert_allclose(two["p"].to_numpy(), one["p"].to_numpy(), atol=TOLERANCE, rtol=0)


@pytest.mark.slow
def test_a_killed_process_ends_the_stage_and_the_next_run_goes_on(setting: str) -> None:
    put(processes=2, epochs=20)
    run("naive")
    expected = kills.outputs("naive")
    kills.remove("naive")
    process = start("naive")
    _, second = until_saved(process)
    second.kill()
    said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert said.splitlines()[-1] == "error: process 2 of 2 of this stage was killed by signal 9"
    assert said.count("rror") == 1
    assert not files.run("student", *CELL, "naive", 0).exists()
    assert "goes on after update" in run("naive")
    assert kills.outputs("naive") == expected


@pytest.mark.slow
def test_all_processes_end_with_the_one_that_started_them(setting: str) -> None:
    put(processes=2, epochs=500)
    process = start("naive")
    both = until_saved(process)
    os.kill(process.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(both, timeout=10)
    assert not alive


@pytest.mark.slow
def test_an_error_of_all_processes_is_one_line(setting: str) -> None:
    put(processes=2, learning_rate=1e30)
    process = start("naive")
    said, _ = process.communicate()
    assert process.returncode == 1
    (line,) = [line for line in said.splitlines() if "rror" in line]
    assert line.startswith("error: student xs→l naive: the loss is nan at update ")


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    with pytest.raises(UserError, match=r"^params.yaml: finetune.processes is 2, but GPUs for this stage are 1$"):
        ranks.share(2)
