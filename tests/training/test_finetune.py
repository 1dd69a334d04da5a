"""Finetuning end to end on a tiny rung: repeatable, independent of micro-batches, and blind to truth."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from accelerate.state import AcceleratorState
from torch import nn

from tests.conftest import WORDS
from w2s import records
from w2s.errors import UserError
from w2s.models.heads import ScalarHead, load_base
from w2s.params import Answers, Finetune, Task
from w2s.training.finetune import finetune
from w2s.training.losses import Loss
from w2s.training.losses.confidence import confidence
from w2s.training.losses.cross_entropy import cross_entropy
from w2s.training.reader import Labelled, Reader

TASK = Task(family="reviews", setting="classification", answers=Answers(true=["good"], false=["bad"]))
SETTINGS = Finetune(
    epochs=3,
    batch_size=16,
    micro_batch=16,
    learning_rate=0.005,
    warmup=0.1,
    weight_decay=0.01,
    clip=1.0,
    precision="fp32",
    snapshots=4,
    threads=1,
)
CONFIDENCE = partial(confidence, alpha_max=0.6, warmup=0.3)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts of two to nine words; soft labels that favour those with `good` or `fine` in them."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for name, size in {"train": 60, "validation": 20, "test": 25}.items():
        texts = [" ".join(rng.choice(WORDS, rng.integers(2, 10))) for _ in range(size)]
        ids = [f"{name} {index}" for index in range(size)]
        p = np.array([0.9 if {"good", "fine"} & set(text.split()) else 0.2 for text in texts])
        records.write(folder / f"{name}.parquet", records.TEXTS, {"id": ids, "text": texts, "group": ids})
        order = rng.permutation(size)  # labels are joined by id
        columns = {"id": [ids[index] for index in order], "p": (p + rng.uniform(-0.1, 0.1, size))[order]}
        records.write(folder / f"{name}-labels.parquet", records.LABELS, columns)
    return folder


Run = Callable[..., ScalarHead]


@pytest.fixture
def run(data: Path, tmp_path: Path) -> Run:
    """Finetunes a base model into tmp_path / name and returns it."""

    def run(
        name: str, folder: Path, loss: Loss = cross_entropy, seed: int = 0, watched: bool = False, **changes: object
    ) -> ScalarHead:
        reader = Reader(TASK, folder)
        examples, validation = (
            Labelled.read(reader, data / f"{part}.parquet", data / f"{part}-labels.parquet")
            for part in ("train", "validation")
        )
        model, settings = load_base(folder), Finetune(**SETTINGS.model_dump() | changes)
        watched_on, test = validation if watched else None, data / "test.parquet"
        key = ("student", "mine", seed)
        finetune(model, reader, examples, loss, settings, key, test, tmp_path / name, f"student {name}", watched_on)
        return model

    return run


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def same_weights(one: nn.Module, two: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


def test_a_run_repeats_to_the_bit(run: Run, tmp_path: Path, checkpoint: Path) -> None:
    one = run("one", checkpoint, watched=True)
    torch.rand(5), np.random.rand(5)  # whatever happened in between
    two = run("two", checkpoint, watched=True)
    assert same_weights(one, two)
    files = contents(tmp_path / "one")
    assert contents(tmp_path / "two") == files
    assert set(files) > {"predictions.parquet", "run.json", "live/plots/metrics/loss.tsv"}
    other = run("other", checkpoint, seed=1)
    assert not same_weights(one, other)
    assert contents(tmp_path / "other")["predictions.parquet"] != files["predictions.parquet"]


def test_watching_agreement_changes_no_prediction(run: Run, tmp_path: Path, gpt2_folder: Path) -> None:
    assert same_weights(run("blind", gpt2_folder), run("watched", gpt2_folder, watched=True))
    predictions = [contents(tmp_path / name)["predictions.parquet"] for name in ("blind", "watched")]
    assert predictions[0] == predictions[1]


def predicted(folder: Path) -> np.ndarray:
    """P(true) [snapshots, examples]."""
    table = records.read_predictions(folder / "predictions.parquet")
    return table["p"].to_numpy().reshape(-1, 25)


@pytest.mark.parametrize("loss", [cross_entropy, CONFIDENCE], ids=["cross_entropy", "confidence"])
def test_a_batch_may_be_cut_into_any_micro_batches(run: Run, tmp_path: Path, embedded_folder: Path, loss: Loss) -> None:
    """To rounding: rows of other lengths in a matrix product may differ in fp32's last bits, and Adam amplifies it."""
    run("whole", embedded_folder, loss)
    expected = predicted(tmp_path / "whole")
    assert np.ptp(expected[-1]) > 0.1  # it has learnt something to compare
    for size in (1, 3, 8, 100):
        run(f"by {size}", embedded_folder, loss, micro_batch=size)
        np.testing.assert_allclose(predicted(tmp_path / f"by {size}"), expected, rtol=2e-5)


def test_both_readings_of_a_cut_batch_meet_the_same_dropout(gpt2_folder: Path, data: Path, tmp_path: Path) -> None:
    reader = Reader(TASK, gpt2_folder)
    examples = Labelled.read(reader, data / "train.parquet", data / "train-labels.parquet")
    model, seen = load_base(gpt2_folder), []
    nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(0))
    sure = reader.predict(model, examples.items)  # without dropout
    model.register_forward_hook(lambda module, _, logits: seen.append(logits.detach()) if module.training else None)
    settings = Finetune(**SETTINGS.model_dump() | {"epochs": 1, "batch_size": 60})
    finetune(model, reader, examples, cross_entropy, settings, ("key",), data / "test.parquet", tmp_path, "name")
    assert [len(logits) for logits in seen] == [16, 16, 16, 12] * 2
    first, again = torch.cat(seen[:4]), torch.cat(seen[4:])
    assert torch.equal(first, again)
    assert np.abs(np.sort(first.sigmoid().numpy()) - np.sort(sure)).max() > 0.01


def test_predictions_are_the_models_at_the_stated_steps(
    run: Run, tmp_path: Path, data: Path, embedded_folder: Path
) -> None:
    model = run("run", embedded_folder)
    steps = 3 * 4  # epochs × ⌈60 / 16⌉
    table = pq.read_table(tmp_path / "run" / "predictions.parquet").to_pydict()
    ids, items = Reader(TASK, embedded_folder).inputs(data / "test.parquet")
    assert table["step"] == [step for step in (3, 6, 9, steps) for _ in range(25)]
    assert table["id"] == ids.to_pylist() * 4
    with torch.no_grad():
        last = [model(torch.tensor([item]), torch.ones(1, len(item))).sigmoid().item() for item in items]
    np.testing.assert_allclose(table["p"][-25:], last, atol=1e-6)
    parameters = sum(tensor.numel() for tensor in load_base(embedded_folder).body.parameters())
    stated = f'{{\n  "parameters": {parameters},\n  "examples": 60,\n  "steps": {steps}\n}}\n'
    assert (tmp_path / "run" / "run.json").read_text() == stated


def curve(folder: Path, name: str) -> dict[int, float]:
    lines = (folder / "live" / "plots" / "metrics" / f"{name}.tsv").read_text().splitlines()
    return {int(step): float(value) for step, value in (line.split("\t") for line in lines[1:])}


def test_curves(run: Run, tmp_path: Path, data: Path, embedded_folder: Path) -> None:
    model = run("run", embedded_folder, watched=True)
    assert set(curve(tmp_path / "run", "agreement")) == {3, 6, 9, 12}
    reader = Reader(TASK, embedded_folder)
    validation = Labelled.read(reader, data / "validation.parquet", data / "validation-labels.parquet")
    agrees = (reader.predict(model, validation.items) > 0.5) == (validation.labels > 0.5)
    assert curve(tmp_path / "run", "agreement")[12] == agrees.mean()
    assert set(curve(tmp_path / "run", "accuracy")) == set(range(1, 13))
    losses = curve(tmp_path / "run", "loss")
    assert losses[1] == pytest.approx(np.log(2), abs=1e-6)  # an undecided head
    assert sum(losses[step] for step in (10, 11, 12)) < sum(losses[step] for step in (1, 2, 3))
    run("unwatched", embedded_folder)
    assert not (tmp_path / "unwatched/live/plots/metrics/agreement.tsv").exists()


def test_a_loss_that_explodes_names_the_run_and_leaves_nothing(run: Run, tmp_path: Path, embedded_folder: Path) -> None:
    with pytest.raises(UserError) as error, records.atomic(tmp_path / "models" / "student") as out:
        run(out.relative_to(tmp_path), embedded_folder, learning_rate=1e30)
    told = str(error.value)
    assert told.startswith("student models/.student.tmp: the loss is ")
    assert told.endswith("; try a smaller learning_rate")
    assert " at update " in told
    assert list((tmp_path / "models").iterdir()) == []


def test_half_precision_trains_full_precision_weights(run: Run, tmp_path: Path, embedded_folder: Path) -> None:
    run("fp32", embedded_folder)
    AcceleratorState._reset_state(True)  # precision is for life in one process
    model = run("bf16", embedded_folder, precision="bf16")
    AcceleratorState._reset_state(True)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    full, half = predicted(tmp_path / "fp32")[-1], predicted(tmp_path / "bf16")[-1]
    assert 0 < np.abs(full - half).max() < 0.1


def test_labels_of_other_examples_are_refused(data: Path, embedded_folder: Path) -> None:
    labels = data / "validation-labels.parquet"
    with pytest.raises(UserError) as error:
        Labelled.read(Reader(TASK, embedded_folder), data / "train.parquet", labels)
    assert str(error.value) == f"{labels}: ids do not match the inputs (60 missing, 20 unknown)"


def test_an_unknown_setting_is_told(embedded_folder: Path) -> None:
    with pytest.raises(UserError, match=r"unknown name 'clasification' .*; did you mean 'classification'\?"):
        Reader(TASK.model_copy(update={"setting": "clasification"}), embedded_folder)
