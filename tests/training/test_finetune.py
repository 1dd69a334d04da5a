"""Finetuning end to end on a tiny rung: repeatable, independent of micro-batches, and blind to truth."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn
from transformers import AutoModel, AutoTokenizer
from w2s.training.reader import Labelled, Reader

from tests.conftest import SETTINGS, WORDS, settings_with
from w2s import records
from w2s.determinism import generator
from w2s.errors import UserError
from w2s.losses import Loss
from w2s.losses.confidence import confidence
from w2s.losses.cross_entropy import cross_entropy
from w2s.models import hardware, heads
from w2s.models.heads import ScalarHead, load_tuned
from w2s.params import Answers, Task
from w2s.training.finetune import _updates, finetune

TASK = Task(family="reviews", setting="classification", answers=Answers(true=["good"], false=["bad"]))
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
        name: str,
        folder: Path,
        loss: Loss = cross_entropy,
        seed: int = 0,
        watched: bool = False,
        keep: str = "none",
        **changes: object,
    ) -> ScalarHead:
        settings = settings_with(**changes)
        reader, model = Reader(TASK, folder, settings), load_base(folder, **changes)
        examples, validation = (
            Labelled.read(reader, data / f"{part}.parquet", data / f"{part}-labels.parquet")
            for part in ("train", "validation")
        )
        finetune(
            model,
            reader,
            examples,
            loss,
            settings,
            ("student", "mine", seed),
            data / "test.parquet",
            tmp_path / name,
            f"student {name}",
            keep,
            validation if watched else None,
        )
        return model

    return run


def load_base(folder: Path, **changes: object) -> ScalarHead:
    return heads.load_base(folder, settings_with(**changes), generator("adapters"))


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
@pytest.mark.parametrize("name", ["embedded_folder", "gpt2_folder"])
def test_a_batch_may_be_cut_into_any_parts(
    run: Run, tmp_path: Path, request: pytest.FixtureRequest, name: str, loss: Loss
) -> None:
    """To rounding: rows of other lengths in a matrix product may differ in fp32's last bits, and Adam amplifies it."""
    folder = request.getfixturevalue(name)
    run("whole", folder, loss)
    expected = predicted(tmp_path / "whole")
    assert np.ptp(expected[-1]) > 0.05  # it has learnt something to compare
    for tokens in (1, 25, 70):
        model = run(f"by {tokens}", folder, loss, micro_batch=tokens)
        assert model.budget.tokens == tokens
        np.testing.assert_allclose(predicted(tmp_path / f"by {tokens}"), expected, rtol=5e-5)


def gradients(folder: Path, data: Path, fails: Callable[[ScalarHead, torch.Tensor], bool], **changes: object) -> tuple:
    """The first update's gradient, and the parts in which the batch was read last; memory runs out where `fails`."""
    settings = settings_with(snapshots=1, epochs=1, batch_size=60, **changes)
    reader, model, read = Reader(TASK, folder, settings), load_base(folder, **changes), []
    nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(0))

    def memory(_: nn.Module, __: tuple, given: dict[str, torch.Tensor]) -> None:
        if fails(model, given["input_ids"]):
            read.clear()
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        read.append(given["input_ids"].shape)

    model.body.register_forward_pre_hook(memory, with_kwargs=True)
    examples = Labelled.read(reader, data / "train.parquet", data / "train-labels.parquet")
    update = next(_updates(model, reader, examples, CONFIDENCE, settings, generator("order")))
    meter = update(model, 0.5, lambda value: value.backward())
    return (
        meter,
        {name: parameter.grad for name, parameter in model.named_parameters() if parameter.requires_grad},
        read,
    )


@pytest.mark.parametrize("tune", ["full", "lora", "head"])
def test_running_out_of_memory_halves_the_parts_and_ends_with_the_same_update(
    embedded_folder: Path, data: Path, tune: str
) -> None:
    """Also where memory runs out with part of the gradient already there. Gradients agree to 1e-5 of the largest."""
    calls: list[int] = []

    def late(_: ScalarHead, ids: torch.Tensor) -> bool:
        calls.append(len(ids))
        return len(calls) == 7 and tune != "head"  # a head reads texts once: nothing fails after the first reading

    meter, expected, read = gradients(embedded_folder, data, lambda *_: False, tune=tune)
    assert len(read) == 1
    for fails, tokens in ((lambda model, ids: ids.numel() > 130, "auto"), (late, 100)):
        again, found, parts = gradients(embedded_folder, data, fails, tune=tune, micro_batch=tokens)
        assert len(parts) > 2
        assert all(rows * width <= 130 for rows, width in parts)
        assert again == pytest.approx(meter, rel=1e-5)
        for name, gradient in expected.items():
            assert gradient.abs().max() > 0 or "lora_A" in name  # B is zero at the start, and so A's slope
            torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-5 * float(gradient.abs().max() + 1e-9))


def test_a_run_out_of_memory_goes_on_and_says_so(
    run: Run, tmp_path: Path, gpt2_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A whole run: training and prediction alike."""
    run("ample", gpt2_folder)
    read = ScalarHead._read

    def small(model: ScalarHead, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if ids.numel() > 50:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return read(model, ids, mask)

    monkeypatch.setattr(ScalarHead, "_read", small)
    run("scarce", gpt2_folder)
    assert "out of memory: going on with 48 tokens a forward pass" in capsys.readouterr().err
    np.testing.assert_allclose(predicted(tmp_path / "scarce"), predicted(tmp_path / "ample"), rtol=5e-5)
    assert json.loads((tmp_path / "scarce" / "run.json").read_text())["micro_batch"] == 48


@pytest.mark.parametrize("tune", ["full", "lora", "head"])
def test_every_way_to_tune_learns_and_is_restored_exactly(
    run: Run, tmp_path: Path, checkpoint: Path, data: Path, tune: str
) -> None:
    changes = {"tune": tune, "learning_rate": 0.02, "epochs": 6}
    model = run(tune, checkpoint, keep="full" if tune == "full" else "adapter", **changes)
    losses = curve(tmp_path / tune, "loss")
    assert np.mean([losses[step] for step in range(21, 25)]) < np.mean([losses[step] for step in range(1, 5)])
    settings = settings_with(**changes)
    reader = Reader(TASK, checkpoint, settings)
    again = load_tuned(tmp_path / tune / "model", checkpoint, settings)
    _, items = reader.inputs(data / "test.parquet")
    assert np.array_equal(reader.predict(again, items), predicted(tmp_path / tune)[-1])
    if tune != "full":  # the body is as it was
        base = load_base(checkpoint).body.state_dict()
        kept = {
            name.replace("base_model.model.", "").replace(".base_layer", ""): tensor
            for name, tensor in model.body.state_dict().items()
            if "lora" not in name
        }
        assert all(torch.equal(base[name], tensor) for name, tensor in kept.items())


def test_what_is_kept(run: Run, tmp_path: Path, embedded_folder: Path) -> None:
    run("none", embedded_folder, keep="none")
    assert not (tmp_path / "none" / "model").exists()
    run("adapter", embedded_folder, keep="adapter", tune="lora")
    assert [path.name for path in (tmp_path / "adapter" / "model").iterdir()] == ["tuned.safetensors"]
    run("full", embedded_folder, keep="full", tune="lora")
    whole = tmp_path / "full" / "model"
    assert AutoModel.from_pretrained(whole).config.model_type == "gpt_neox"
    assert AutoTokenizer.from_pretrained(whole)("the food")["input_ids"]


def test_predictions_are_the_models_at_the_stated_steps(
    run: Run, tmp_path: Path, data: Path, embedded_folder: Path
) -> None:
    model = run("run", embedded_folder)
    steps = 3 * 4  # epochs × ⌈60 / 16⌉
    table = pq.read_table(tmp_path / "run" / "predictions.parquet").to_pydict()
    ids, items = Reader(TASK, embedded_folder, SETTINGS).inputs(data / "test.parquet")
    assert table["step"] == [step for step in (3, 6, 9, steps) for _ in range(25)]
    assert table["id"] == ids.to_pylist() * 4
    with torch.no_grad():
        last = [model(torch.tensor([item]), torch.ones(1, len(item))).sigmoid().item() for item in items]
    np.testing.assert_allclose(table["p"][-25:], last, atol=1e-6)
    parameters = sum(tensor.numel() for tensor in load_base(embedded_folder).body.parameters())
    assert json.loads((tmp_path / "run" / "run.json").read_text()) == {
        "parameters": parameters,
        "trainable": parameters + 17,
        "examples": 60,
        "steps": steps,
        "precision": "fp32",
        "micro_batch": 16 * 64,
    }


def curve(folder: Path, name: str) -> dict[int, float]:
    lines = (folder / "live" / "plots" / "metrics" / f"{name}.tsv").read_text().splitlines()
    return {int(step): float(value) for step, value in (line.split("\t") for line in lines[1:])}


def test_curves(run: Run, tmp_path: Path, data: Path, embedded_folder: Path) -> None:
    model = run("run", embedded_folder, watched=True)
    assert set(curve(tmp_path / "run", "agreement")) == {3, 6, 9, 12}
    reader = Reader(TASK, embedded_folder, SETTINGS)
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


@pytest.mark.parametrize("tune", ["full", "lora", "head"])
def test_half_precision_trains_full_precision_weights(
    run: Run, tmp_path: Path, data: Path, embedded_folder: Path, tune: str
) -> None:
    run("fp32", embedded_folder, tune=tune)
    model = run("bf16", embedded_folder, tune=tune, precision="bf16", keep="full" if tune == "full" else "adapter")
    for name, parameter in model.named_parameters():
        frozen = not parameter.requires_grad
        assert parameter.dtype == (torch.bfloat16 if frozen else torch.float32), name
    full, half = predicted(tmp_path / "fp32")[-1], predicted(tmp_path / "bf16")[-1]
    assert 0 < np.abs(full - half).max() < 0.1
    settings = settings_with(tune=tune, precision="bf16")
    reader = Reader(TASK, embedded_folder, settings)
    again = load_tuned(tmp_path / "bf16" / "model", embedded_folder, settings)
    assert np.array_equal(reader.predict(again, reader.inputs(data / "test.parquet")[1]), half)


def test_automatic_precision_is_what_was_measured(run: Run, tmp_path: Path, embedded_folder: Path) -> None:
    run("auto", embedded_folder, precision="auto")
    measured = hardware.precision("auto")
    run("said", embedded_folder, precision=measured)
    assert json.loads((tmp_path / "auto" / "run.json").read_text())["precision"] == measured
    assert np.array_equal(predicted(tmp_path / "auto"), predicted(tmp_path / "said"))


def test_labels_of_other_examples_are_refused(data: Path, embedded_folder: Path) -> None:
    labels = data / "validation-labels.parquet"
    with pytest.raises(UserError) as error:
        Labelled.read(Reader(TASK, embedded_folder, SETTINGS), data / "train.parquet", labels)
    assert str(error.value) == f"{labels}: ids do not match the inputs (60 missing, 20 unknown)"


def test_an_unknown_setting_is_told(embedded_folder: Path) -> None:
    with pytest.raises(UserError, match=r"unknown name 'clasification' .*; did you mean 'classification'\?"):
        Reader(TASK.model_copy(update={"setting": "clasification"}), embedded_folder, SETTINGS)
