"""What only a GPU can show; skipped without one. Each stage-like training is of a micro model, seconds in all."""

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from tests.conftest import WORDS, setting_of
from w2s.core import files
from w2s.core.determinism import generator
from w2s.models import hardware
from w2s.models.heads import Head
from w2s.settings.base import Examples
from w2s.training.finetune import finetune
from w2s.training.job import Job

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")]

RNG = np.random.default_rng(0)
TEXTS = [" ".join(RNG.choice(WORDS, RNG.integers(2, 20))) for _ in range(100)]
IDS = [str(index) for index in range(len(TEXTS))]
LABELS = np.array([0.9 if "good" in text.split() else 0.2 for text in TEXTS])


def trained(checkpoint: Path, out: Path, **changes: object) -> tuple[Head, np.ndarray]:
    """A finetuned model and its last predictions."""
    setting = setting_of(checkpoint, **{"learning_rate": 0.001, **changes})
    inputs = pa.table({"id": IDS, "text": TEXTS, "group": IDS}, schema=setting.INPUTS)
    job = Job(setting=setting, examples=Examples(inputs, LABELS), test=inputs, rng_key=("gpu",), out=out, name="gpu")
    model = finetune(job)
    return model, files.read_predictions(out / "predictions.parquet")["p"].to_numpy()[-len(TEXTS) :]


@pytest.mark.parametrize("tune", ["full", "lora", "head"])
def test_models_learn_on_the_gpu_and_twice_the_same(checkpoint: Path, tmp_path: Path, tune: str) -> None:
    found = [trained(checkpoint, tmp_path / name, tune=tune) for name in "ab"]
    assert {parameter.device.type for model, _ in found for parameter in model.parameters()} == {"cuda"}
    assert np.ptp(found[0][1]) > 0
    np.testing.assert_array_equal(found[0][1], found[1][1])
    for one, other in zip(found[0][0].parameters(), found[1][0].parameters(), strict=True):
        assert torch.equal(one, other)


def test_checkpointing_and_small_micro_batches_change_rounding_alone(checkpoint: Path, tmp_path: Path) -> None:
    _, plain = trained(checkpoint, tmp_path / "plain")
    for name, changes in (("again", {"gradient_checkpointing": True}), ("small", {"micro_batch": 32})):
        _, found = trained(checkpoint, tmp_path / name, **changes)
        np.testing.assert_allclose(found, plain, atol=1e-3, err_msg=name)


def test_bf16_answers_nearly_as_fp32(checkpoint: Path, tmp_path: Path) -> None:
    if not hardware.has_bf16_units():
        pytest.skip("computes no bf16")
    answers = [trained(checkpoint, tmp_path / precision, precision=precision)[1] for precision in ("fp32", "bf16")]
    np.testing.assert_allclose(answers[1], answers[0], atol=0.05)


def test_memory_that_runs_out_halves_the_batches(
    gpt2_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For real: this process may have little more of the GPU than the model takes."""
    setting = setting_of(gpt2_folder, batch_size=64)
    load = partial(setting.HEAD.load_base, gpt2_folder, setting.hparams, generator("gpu"))
    ids = [[1] * 32] * 20000

    def peak(model: Head) -> int:
        torch.cuda.reset_peak_memory_stats()
        setting.predict(model, ids)
        return torch.cuda.max_memory_reserved()

    model = load()
    model.budget.tokens = 32 * len(ids)
    needed = peak(model)
    expected = setting.predict(model, ids)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(0.5 * needed / total)
    try:
        found = setting.predict(model, ids)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "out of memory: going on with" in capsys.readouterr().err
    np.testing.assert_allclose(found, expected, atol=1e-5)
