"""How much fits: against the count of tensors that a real training step leaves, and the messages when it does not."""

import gc
from pathlib import Path

import pytest
import torch

from tests.conftest import hparams_with
from w2s.core.errors import UserError
from w2s.models import hardware, memory
from w2s.models.batches import pad_batch
from w2s.models.checkpoints import load_tokenizer
from w2s.models.heads import ScalarHead

GIB = 2**30
SMALL = memory.Size(10**6, 10**6, 64, 2)


def held() -> int:
    """Bytes of all live tensors of this process, each storage once."""
    gc.collect()
    tensors = (thing for thing in gc.get_objects() if isinstance(thing, torch.Tensor))
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())


@pytest.mark.parametrize("tune", ["full", "lora", "head"])
def test_states_are_what_a_training_step_leaves(embedded_folder: Path, tune: str) -> None:
    hparams, before = hparams_with(tune=tune), held()
    model = ScalarHead.load_base(embedded_folder, hparams, torch.Generator())
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning)
    ids = load_tokenizer(embedded_folder)(["the food was good", "the room is bad"])["input_ids"]
    model(*pad_batch(ids, 0)).sum().backward()
    optimizer.step()
    expected = memory.states(model.parameter_count, sum(map(torch.Tensor.numel, learning)), hparams)
    assert held() - before == pytest.approx(expected, rel=0.05)


def test_a_frozen_body_in_half_precision_takes_two_bytes_a_weight() -> None:
    assert memory.states(1000, 10, hparams_with(tune="lora", precision="bf16")) == 2000 + 160
    assert memory.states(1000, 10, hparams_with(tune="lora", precision="fp32")) == 4000 + 160
    assert memory.states(1000, 1000, hparams_with(tune="full", precision="bf16")) == 18000


def test_checkpointing_keeps_less() -> None:
    deep, checkpointed = (memory.per_token(1000, 40, hparams_with(gradient_checkpointing=on)) for on in (False, True))
    assert deep == 2 * 34 * 40 * 1000
    assert checkpointed == 2 * (2 * 40 + 34) * 1000


def test_a_language_model_keeps_a_logit_for_every_word_and_two_more_numbers() -> None:
    hparams = hparams_with()
    assert memory.per_token(64, 2, hparams, vocabulary=50_000) == memory.per_token(64, 2, hparams) + 3 * 4 * 50_000
    frozen = hparams_with(tune="head")
    assert memory.per_token(64, 2, frozen, vocabulary=50_000) == memory.per_token(64, 2, frozen)


def test_the_budget_is_a_whole_batch_or_a_power_of_two_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    hparams = hparams_with(batch_size=32, context=512)
    monkeypatch.setattr(hardware, "memory", lambda: 8 * GIB)
    assert memory.budget(SMALL, hparams, "models.mine") == 32 * 512
    cut = memory.budget(memory.Size(3 * 10**8, 3 * 10**8, 1024, 24), hparams, "models.mine")
    each = memory.per_token(1024, 24, hparams)
    room = 8 * GIB - memory.states(3 * 10**8, 3 * 10**8, hparams)
    assert cut * each <= room < 2 * cut * each
    assert cut & (cut - 1) == 0
    assert memory.budget(SMALL, hparams_with(micro_batch=77), "models.mine") == 77


@pytest.mark.parametrize(("hidden", "tokens"), [(16, 32768), (40, 8192), (64, 8192), (384, 1024), (768, 512)])
def test_a_cpu_reads_in_passes_that_its_cache_holds(monkeypatch: pytest.MonkeyPatch, hidden: int, tokens: int) -> None:
    monkeypatch.setattr(hardware, "device", lambda: torch.device("cpu"))
    assert memory.cached(hidden) == tokens
    monkeypatch.setattr(hardware, "device", lambda: torch.device("cuda"))
    assert memory.cached(hidden) > 10**9


def test_a_model_too_large_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "memory", lambda: 8 * GIB)
    with pytest.raises(UserError) as error:
        memory.budget(memory.Size(10**9, 10**9, 2048, 16), hparams_with(), "models/base/mine")
    assert str(error.value) == (
        "models/base/mine: too large for this machine: tune: full takes 15.0 GiB, one training may use 8.0 GiB of "
        f"{hardware.device().type} memory; try tune: lora or head, gradient_checkpointing: true, a shorter context or "
        "a smaller model"
    )


def test_one_training_may_use_part_of_the_machine() -> None:
    assert GIB / 4 < hardware.memory() < 2**50
