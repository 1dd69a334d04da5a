"""The loop against AdamW and its schedule written out by hand."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from w2s.core.determinism import generator, prepare_torch
from w2s.core.errors import UserError
from w2s.training.loop import Metrics, Schedule, Update, train


def schedule(**changes: object) -> Schedule:
    values = {"steps": 10, "learning_rate": 0.1, "warmup": 0.2, "weight_decay": 0.0, "clip": 1e9}
    return Schedule(**values | changes)  # type: ignore[arg-type]


@given(st.integers(1, 300), st.floats(0, 1))
def test_the_rate_rises_in_equal_steps_then_falls_as_a_half_cosine(steps: int, warmup: float) -> None:
    rates = [schedule(steps=steps, warmup=warmup).rate(step) for step in range(steps)]
    rising = [step for step in range(steps) if step < warmup * steps]
    for step, rate in enumerate(rates):
        if step in rising:
            assert rate == pytest.approx(np.interp(step + 1, [0, warmup * steps + 1], [0, 1]))
        else:
            done = (step - warmup * steps) / max(1, (1 - warmup) * steps)
            assert rate == pytest.approx(np.cos(np.pi / 2 * done) ** 2, abs=1e-9)
    top = len(rising)
    assert rates[:top] == sorted(rates[:top])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert all(0 < rate <= 1 for rate in rates)


def test_the_rate_at_known_places() -> None:
    rates = [schedule(steps=100, warmup=0.1).rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(1 / 11)
    assert rates[10] == 1
    assert rates[55] == pytest.approx(0.5)
    assert rates[99] < 0.001
    assert schedule(steps=100, warmup=0.0).rate(0) == 1


def toward(model: nn.Linear, target: torch.Tensor) -> Iterator[Update]:
    """Half the squared distance of a linear layer's weights and bias from a target that grows with progress."""

    def update(progress: float) -> Metrics:
        loss = sum(
            ((part - (1 + progress) * target[: part.numel()].view_as(part)) ** 2).sum() for part in model.parameters()
        )
        (loss / 2).backward()
        return {"loss": loss.item() / 2}

    while True:
        yield update


def layer() -> nn.Linear:
    model = nn.Linear(2, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, -2.0], [0.5, 3.0]]))
        model.bias.copy_(torch.tensor([0.3, -0.7]))
    return model


TARGET = torch.tensor([0.2, 1.0, -1.0, 2.0])


def test_updates_are_adamws_with_decay_on_matrices_only(tmp_path: Path) -> None:
    model = layer()
    train(model, toward(model, TARGET), schedule(weight_decay=0.3, clip=2.0), live=tmp_path, name="toy")
    values = np.concatenate([parameter.detach().numpy().ravel() for parameter in layer().parameters()]).astype(float)
    target = np.concatenate([TARGET.numpy(), TARGET[:2].numpy()]).astype(float)
    decayed = np.array([1.0] * 4 + [0.0] * 2)
    mean = np.zeros(6)
    square = np.zeros(6)
    for step in range(10):
        slope = values - (1 + step / 10) * target
        slope *= min(1, 2.0 / np.linalg.norm(slope))
        rate = 0.1 * ((step + 1) / 3 if step < 2 else np.cos(np.pi / 2 * (step - 2) / 8) ** 2)
        mean = 0.9 * mean + 0.1 * slope
        square = 0.999 * square + 0.001 * slope**2
        unbiased = mean / (1 - 0.9 ** (step + 1))
        spread = np.sqrt(square / (1 - 0.999 ** (step + 1)))
        values = values * (1 - 0.3 * rate * decayed) - rate * unbiased / (spread + 1e-8)
    found = np.concatenate([parameter.detach().numpy().ravel() for parameter in model.parameters()])
    np.testing.assert_allclose(found, values, atol=1e-5)


@pytest.mark.parametrize(
    ("steps", "snapshots", "due"),
    [(10, 2, [5, 10]), (10, 3, [3, 7, 10]), (3, 6, [1, 2, 3]), (7, 1, [7]), (4, 0, [])],
)
def test_snapshots_are_evenly_spaced_and_the_last_is_the_end(
    tmp_path: Path, steps: int, snapshots: int, due: list[int]
) -> None:
    found = []

    def snapshot(step: int) -> Metrics:
        found.append(step)
        return {"agreement": step / 100}

    model = layer()
    updates = toward(model, TARGET)
    train(model, updates, schedule(steps=steps), live=tmp_path, name="toy", snapshot=snapshot, snapshots=snapshots)
    assert found == due
    if due:
        assert curve(tmp_path, "agreement") == {step: step / 100 for step in due}


def curve(live: Path, name: str) -> dict[int, float]:
    rows = [line.split("\t") for line in (live / "plots" / "metrics" / f"{name}.tsv").read_text().splitlines()]
    assert rows[0] == ["step", name]
    return {int(step): float(value) for step, value in rows[1:]}


def test_curves_are_logged(tmp_path: Path) -> None:
    model = layer()
    train(model, toward(model, TARGET), schedule(), live=tmp_path, name="toy")
    losses = curve(tmp_path, "loss")
    assert list(losses) == list(range(1, 11))
    assert losses[10] != losses[1]
    rates = curve(tmp_path, "learning_rate")
    assert rates == pytest.approx({step: 0.1 * schedule().rate(step - 1) for step in range(1, 11)})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("what", ["loss", "norm of the gradient"])
def test_what_is_not_finite_stops_the_run_before_a_weight_is_not(tmp_path: Path, value: float, what: str) -> None:
    model = layer()

    def update(progress: float) -> Metrics:
        unsound = value if progress >= 0.3 else 1.0
        (model.weight.sum() * (1.0 if what == "loss" else unsound)).backward()
        return {"loss": unsound if what == "loss" else 1.0}

    with pytest.raises(UserError) as error:
        train(model, iter([update] * 10), schedule(), live=tmp_path, name="student xs→l naive")
    assert str(error.value) == f"student xs→l naive: the {what} is {value} at update 4; try a smaller learning_rate"
    assert all(parameter.isfinite().all() for parameter in model.parameters())


def test_what_is_frozen_stays_and_takes_no_part_in_the_norm(tmp_path: Path) -> None:
    whole = layer()
    part = layer()
    part.bias.requires_grad_(False)
    bias = part.bias.clone()

    def update(model: nn.Linear, progress: float) -> Metrics:
        loss = 3 * model.weight.sum() + 100 * model.bias.sum()
        loss.backward()
        return {"loss": loss.item()}

    for name, model in (("whole", whole), ("part", part)):
        train(model, iter([partial(update, model)] * 10), schedule(clip=0.1), live=tmp_path / name, name=name)
    assert torch.equal(part.bias, bias)
    assert not torch.equal(whole.bias, bias)
    assert not torch.equal(part.weight, layer().weight)


@pytest.mark.parametrize("threads", [2, 1])
def test_torch_is_prepared_and_otherwise_left_as_it_was(tmp_path: Path, threads: int) -> None:
    model = layer()
    train(model, toward(model, TARGET), schedule(threads=threads), live=tmp_path, name="toy")
    assert torch.get_num_threads() == threads
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_grad_enabled()
    assert torch.get_default_dtype() == torch.float32
    assert not torch.is_autocast_enabled("cpu")
    prepare_torch(3 - threads)
    assert torch.get_num_threads() == 3 - threads
    prepare_torch(1)


def test_generators_are_their_keys() -> None:
    def stream(*key: object) -> list[float]:
        return torch.rand(4, generator=generator(*key)).tolist()

    assert stream("order", "xs", 0) == stream("order", "xs", 0)
    keys = [("order", "xs", 0), ("order", "xs", 1), ("init", "xs", 0), ("order", "s", 0), ("order",)]
    assert len({tuple(stream(*key)) for key in keys}) == len(keys)
