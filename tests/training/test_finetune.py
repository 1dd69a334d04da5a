"""Finetuning end to end on tiny models: repeatable, independent of micro-batches, and a plain loop in all settings."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

from tests.conftest import WORDS, hparams_with, setting_of
from w2s.core import files
from w2s.core.determinism import generator
from w2s.core.errors import UserError
from w2s.methods.losses.confidence import confidence
from w2s.models import hardware, heads, memory
from w2s.models.heads import Head, ScalarHead
from w2s.settings import setting_class
from w2s.settings.base import Examples, LossFunction, Setting
from w2s.training.finetune import finetune, finetuning_updates
from w2s.training.job import Job

CONFIDENCE = partial(confidence, alpha_max=0.6, warmup=0.3)
BINARY = ("classification", "preference")
SIZES = {"train": 60, "validation": 20, "test": 25}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder a setting. Texts have two to nine words; soft labels and answers favour those with `good` or `fine`."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for name, size in SIZES.items():
        texts, others = ([" ".join(rng.choice(WORDS, rng.integers(2, 10))) for _ in range(size)] for _ in range(2))
        ids = [f"{name} {index}" for index in range(size)]
        happy = np.array([[bool({"good", "fine"} & set(text.split())) for text in side] for side in (texts, others)])
        # Labels are joined by id.
        order = rng.permutation(size)
        noise = rng.uniform(-0.1, 0.1, size)
        for setting, labels in {
            "classification": np.where(happy[0], 0.9, 0.2) + noise,
            "preference": np.array([0.5, 0.9, 0.1])[happy[0].astype(int) - happy[1]] + noise,
            "generation": ["the food is good" if good else "bad room" for good in happy[0]],
        }.items():
            inputs = {"first": texts, "second": others} if setting == "preference" else {"text": texts}
            columns = {"id": ids, **inputs, "group": ids}
            files.write(folder / setting / f"{name}.parquet", files.strings(*columns), columns)
            schema = files.ANSWERS if setting == "generation" else files.LABELS
            columns = {"id": [ids[index] for index in order], schema[1].name: [labels[index] for index in order]}
            files.write(folder / setting / f"{name}-labels.parquet", schema, columns)
    return folder


def tiny_setting(folder: Path, setting: str = "classification", **changes: object) -> Setting:
    task = {"answer_tokens": 5 if folder.name.startswith("embedded") else 20} if setting == "generation" else {}
    return setting_of(folder, setting, task, **changes)


def read(setting: Setting, data: Path, part: str) -> Examples:
    folder = data / setting.task.setting
    return setting.read(folder / f"{part}.parquet", folder / f"{part}-labels.parquet")


def inputs_of_test(setting: Setting, data: Path) -> pa.Table:
    return files.read(data / setting.task.setting / "test.parquet", setting.INPUTS)


Run = Callable[..., Any]


@pytest.fixture
def run(data: Path, tmp_path: Path) -> Run:
    """Finetunes a base model and returns it; its predictions go to tmp_path / name, its weights to `weights`."""

    def run(
        name: str,
        folder: Path,
        loss: LossFunction | None = None,
        *,
        seed: int = 0,
        watched: bool = False,
        setting: str = "classification",
        **changes: object,
    ) -> Head:
        student = tiny_setting(folder, setting, **changes)
        job = Job(
            setting=student,
            examples=read(student, data, "train"),
            test=inputs_of_test(student, data),
            rng_key=("student", "mine", seed),
            out=tmp_path / name,
            name=f"student {name}",
            weights=weights(tmp_path, name),
            validation=read(student, data, "validation") if watched else None,
            loss=loss,
        )
        return finetune(job)

    return run


def weights(tmp_path: Path, name: str) -> Path:
    """The folder of a run's weights."""
    return tmp_path / "weights" / name


@pytest.fixture(scope="module")
def folders(speakers: dict[str, Path], gpt2_folder: Path, bert_folder: Path) -> dict[str, Path]:
    """Models by name."""
    return {**speakers, "gpt2": gpt2_folder, "bert": bert_folder}


def load_base(folder: Path, setting: str = "classification", **changes: object) -> Any:
    return setting_class(setting, "here").HEAD.load_base(folder, hparams_with(**changes), generator("adapters"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def same_weights(one: nn.Module, two: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


def test_a_run_repeats_to_the_bit(run: Run, tmp_path: Path, checkpoint: Path) -> None:
    one = run("one", checkpoint, watched=True)
    # Whatever happened in between:
    torch.rand(5)
    np.random.rand(5)
    two = run("two", checkpoint, watched=True)
    assert same_weights(one, two)
    written = contents(tmp_path / "one")
    assert contents(tmp_path / "two") == written
    assert set(written) > {"predictions.parquet", "run.json", "live/plots/metrics/loss.tsv"}
    other = run("other", checkpoint, seed=1)
    assert not same_weights(one, other)
    assert contents(tmp_path / "other")["predictions.parquet"] != written["predictions.parquet"]


def test_watching_agreement_changes_no_prediction(run: Run, tmp_path: Path, gpt2_folder: Path) -> None:
    assert same_weights(run("blind", gpt2_folder), run("watched", gpt2_folder, watched=True))
    predictions = [contents(tmp_path / name)["predictions.parquet"] for name in ("blind", "watched")]
    assert predictions[0] == predictions[1]


def predicted(folder: Path) -> np.ndarray:
    """P, or answers [snapshots, examples]."""
    table = files.read_predictions(folder / "predictions.parquet")
    return table[table.column_names[-1]].to_numpy().reshape(-1, 25)


@pytest.mark.slow
@pytest.mark.parametrize("loss", [None, CONFIDENCE], ids=["cross_entropy", "confidence"])
@pytest.mark.parametrize("name", ["embedded_folder", "gpt2_folder"])
@pytest.mark.parametrize("setting", BINARY)
def test_a_batch_may_be_cut_into_any_parts(
    run: Run,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    loss: LossFunction | None,
    setting: str,
) -> None:
    """To rounding: rows of other lengths in a matrix product may differ in fp32's last bits, and Adam amplifies it."""
    folder = request.getfixturevalue(name)
    run("whole", folder, loss, setting=setting)
    expected = predicted(tmp_path / "whole")
    assert np.ptp(expected[-1]) > 0.05  # it has learnt something to compare
    for tokens in (1, 25, 70):
        model = run(f"by {tokens}", folder, loss, setting=setting, micro_batch=tokens)
        assert model.budget.tokens == tokens
        np.testing.assert_allclose(predicted(tmp_path / f"by {tokens}"), expected, rtol=1e-4)
    monkeypatch.setattr(memory, "cached", lambda hidden: 70)
    run("in passes", folder, loss, setting=setting)
    np.testing.assert_allclose(predicted(tmp_path / "in passes"), expected, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["embedded", "llama"])
def test_a_batch_of_answers_may_be_cut_into_any_parts(
    run: Run, tmp_path: Path, speakers: dict[str, Path], name: str
) -> None:
    run("whole", speakers[name], setting="generation", epochs=6)
    losses = [*curve(tmp_path / "whole", "loss").values()]
    assert losses[-1] < losses[0] - 0.5
    for tokens in (1, 70, 200):
        run("cut", speakers[name], setting="generation", epochs=6, micro_batch=tokens)
        np.testing.assert_allclose([*curve(tmp_path / "cut", "loss").values()], losses, rtol=2e-4)
        assert np.array_equal(predicted(tmp_path / "cut"), predicted(tmp_path / "whole"))


@pytest.mark.slow
@pytest.mark.parametrize("setting", [*BINARY, "generation"])
def test_finetuning_is_a_plain_loop(run: Run, data: Path, tmp_path: Path, gpt2_folder: Path, setting: str) -> None:
    """Three updates by all examples: written out by the library alone, text by text, they end at the same model."""
    tuned = run("tuned", gpt2_folder, setting=setting, batch_size=60, epochs=3)
    tokenizer = AutoTokenizer.from_pretrained(gpt2_folder)
    labels = dict(zip(*pq.read_table(data / setting / "train-labels.parquet").to_pydict().values(), strict=True))
    rows = pq.read_table(data / setting / "train.parquet").to_pylist()
    kind = AutoModelForCausalLM if setting == "generation" else AutoModel
    body = kind.from_pretrained(gpt2_folder).eval()
    head = nn.Linear(16, 1)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)

    def ids(text: str) -> list[int]:
        return tokenizer(text)["input_ids"]

    def z(text: str) -> torch.Tensor:
        return head(body(input_ids=torch.tensor([ids(text)])).last_hidden_state[0, -1])

    def loss() -> torch.Tensor:
        if setting == "generation":
            logits = []
            targets = []
            for row in rows:
                answer = ids(labels[row["id"]])
                whole = torch.tensor([ids(row["text"]) + answer])
                logits.append(body(input_ids=whole).logits[0, -len(answer) - 1 : -1])
                targets += answer
            return cross_entropy(torch.cat(logits), torch.tensor(targets))
        both = [z(row["text"]) if "text" in row else z(row["first"]) - z(row["second"]) for row in rows]
        soft = torch.tensor([labels[row["id"]] for row in rows])
        return binary_cross_entropy_with_logits(torch.cat(both), soft)

    parameters = [*body.parameters(), *(head.parameters() if setting != "generation" else [])]
    decayed = [parameter for parameter in parameters if parameter.ndim > 1]
    others = [parameter for parameter in parameters if parameter.ndim < 2]
    optimizer = torch.optim.AdamW([{"params": decayed}, {"params": others, "weight_decay": 0.0}], weight_decay=0.01)
    losses = []
    for rate in (1 / 1.3, *(0.5 * (1 + np.cos(np.pi * (step - 0.3) / 2.7)) for step in (1, 2))):
        for group in optimizer.param_groups:
            group["lr"] = 0.005 * rate
        optimizer.zero_grad()
        value = loss()
        value.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        losses.append(value.item())
    np.testing.assert_allclose([*curve(tmp_path / "tuned", "loss").values()], losses, rtol=1e-4)
    assert losses[-1] < losses[0]
    for one, other in zip(tuned.body.parameters(), body.parameters(), strict=True):
        assert (one - other).abs().mean() < 2e-5  # of 0.01 that each has moved


def gradients(
    setting: Setting, data: Path, fails: Callable[[Head, torch.Tensor], bool]
) -> tuple[dict[str, float], dict[str, torch.Tensor], list[torch.Size]]:
    """Metrics and gradient of the first update, and the sizes of the micro-batches that the batch was read in last.

    Memory runs out where `fails`.
    """
    model: Any = setting.HEAD.load_base(setting.base, setting.hparams, generator("adapters"))
    sizes: list[torch.Size] = []
    if model.head:
        nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(0))

    def memory(_: nn.Module, __: tuple, given: dict[str, torch.Tensor]) -> None:
        if fails(model, given["input_ids"]):
            sizes.clear()
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        sizes.append(given["input_ids"].shape)

    model.body.register_forward_pre_hook(memory, with_kwargs=True)
    loss = CONFIDENCE if setting.PROBABILITIES else setting.default_loss
    update = next(finetuning_updates(model, setting, read(setting, data, "train"), loss, ("order",)))
    metrics = update(0.5)
    slopes = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.requires_grad}
    return metrics, slopes, sizes


TUNED = [
    *(("classification", tune) for tune in ("full", "lora", "head")),
    *(("preference", tune) for tune in ("full", "head")),
    *(("generation", tune) for tune in ("full", "lora")),
]


@pytest.mark.slow
@pytest.mark.parametrize(("setting", "tune"), TUNED)
def test_running_out_of_memory_halves_the_parts_and_ends_with_the_same_update(
    embedded_folder: Path, data: Path, setting: str, tune: str
) -> None:
    """Also where memory runs out with part of the gradient already there. Gradients agree to 1e-5 of the largest.

    A shift of all rewards has no slope in preference, but for rounding.
    """
    changes = {"tune": tune, "snapshots": 1, "epochs": 1, "batch_size": 60}
    calls: list[bool] = []

    def late(_: Head, __: torch.Tensor) -> bool:
        """At the second part with a gradient; with `tune: head` none has."""
        calls.append(torch.is_grad_enabled())
        return calls[-1] and calls.count(True) == 2

    metrics, expected, sizes = gradients(tiny_setting(embedded_folder, setting, **changes), data, lambda *_: False)
    assert len(sizes) == 1
    for fails, tokens in ((lambda model, ids: ids.numel() > 130, "auto"), (late, 100)):
        scarce = tiny_setting(embedded_folder, setting, micro_batch=tokens, **changes)
        again, found, sizes = gradients(scarce, data, fails)
        assert len(sizes) > 2
        assert all(rows * width <= 130 for rows, width in sizes)
        assert again == pytest.approx(metrics, rel=1e-5)
        for name, gradient in expected.items():
            largest = float(gradient.abs().max())
            if setting == "preference" and name == "head.bias":
                assert largest < 1e-6
            else:
                # B is zero at the start, and so A's slope.
                assert largest > 0 or "lora_A" in name
            torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-5 * largest + 1e-7)


def test_passes_of_one_text_whose_graphs_memory_does_not_hold_together(
    embedded_folder: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No pass could be smaller, but fewer graphs may be kept."""
    setting = tiny_setting(embedded_folder, "classification", snapshots=1, epochs=1, batch_size=60)
    _, expected, _ = gradients(setting, data, lambda *_: False)
    monkeypatch.setattr(memory, "cached", lambda hidden: 1)
    calls: list[bool] = []

    def late(_: Head, __: torch.Tensor) -> bool:
        calls.append(torch.is_grad_enabled())
        return len(calls) == 20

    _, found, sizes = gradients(setting, data, late)
    assert calls[:20] == [True] * 20
    assert calls[20:80] == [False] * 60
    assert len(sizes) == 60 + 2
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-5 * float(gradient.abs().max()))


def test_a_run_out_of_memory_goes_on_and_says_so(
    run: Run, tmp_path: Path, gpt2_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A whole run: training and prediction alike."""
    run("ample", gpt2_folder)
    read = heads.text_state

    def small(body: nn.Module, ids: torch.Tensor, *options: object) -> torch.Tensor:
        if ids.numel() > 50:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return read(body, ids, *options)

    monkeypatch.setattr(heads, "text_state", small)
    run("scarce", gpt2_folder)
    left = json.loads((tmp_path / "scarce" / "run.json").read_text())["micro_batch"]
    assert 25 <= left <= 50
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("out of memory")]
    assert said[-1] == f"out of memory: going on with {left} tokens a forward pass"
    np.testing.assert_allclose(predicted(tmp_path / "scarce"), predicted(tmp_path / "ample"), rtol=5e-5)


@pytest.mark.parametrize(
    ("setting", "tune", "name"),
    [
        *(("classification", tune, name) for tune in ("full", "lora", "head") for name in ("embedded", "gpt2", "bert")),
        *(("preference", tune, "embedded") for tune in ("full", "lora", "head")),
        *(("generation", tune, name) for tune in ("full", "lora") for name in ("embedded", "gpt2", "llama")),
    ],
)
def test_every_way_to_tune_learns_and_is_restored_exactly(
    run: Run, tmp_path: Path, folders: dict[str, Path], data: Path, setting: str, tune: str, name: str
) -> None:
    folder = folders[name]
    changes = {"tune": tune, "learning_rate": 0.02, "epochs": 6, "keep": "full" if tune == "full" else "adapter"}
    model = run(tune, folder, setting=setting, **changes)
    losses = curve(tmp_path / tune, "loss")
    assert np.mean([losses[step] for step in range(21, 25)]) < np.mean([losses[step] for step in range(1, 5)])
    tuned = tiny_setting(folder, setting, **changes)
    again = tuned.HEAD.load_tuned(weights(tmp_path, tune), folder, tuned.hparams)
    assert np.array_equal(
        tuned.predict(again, tuned.encode(inputs_of_test(tuned, data))), predicted(tmp_path / tune)[-1]
    )
    items, _ = tuned.training_targets(read(tuned, data, "test"))
    with torch.no_grad():
        outputs = tuned.outputs(model, items)
        assert outputs.std() > 0
        assert torch.equal(tuned.outputs(again, items), outputs)
    if tune != "full":  # the body is as it was
        base = load_base(folder, setting).body.state_dict()
        kept = {
            name.replace("base_model.model.", "", 1).replace(".base_layer", ""): tensor
            for name, tensor in model.body.state_dict().items()
            if "lora" not in name
        }
        assert all(torch.equal(base[name], tensor) for name, tensor in kept.items())


def test_what_is_kept(run: Run, tmp_path: Path, embedded_folder: Path) -> None:
    run("none", embedded_folder, keep="none")
    assert list(weights(tmp_path, "none").iterdir()) == []
    run("adapter", embedded_folder, keep="adapter", tune="lora")
    assert [path.name for path in weights(tmp_path, "adapter").iterdir()] == ["tuned.safetensors"]
    run("full", embedded_folder, keep="full", tune="lora")
    whole = weights(tmp_path, "full")
    assert AutoModel.from_pretrained(whole).config.model_type == "gpt_neox"
    assert AutoTokenizer.from_pretrained(whole)("the food")["input_ids"]


def test_predictions_are_the_models_at_the_stated_steps(
    run: Run, tmp_path: Path, data: Path, embedded_folder: Path
) -> None:
    model = run("run", embedded_folder)
    steps = 3 * 4  # epochs × ⌈60 / 16⌉
    table = pq.read_table(tmp_path / "run" / "predictions.parquet").to_pydict()
    setting = setting_of(embedded_folder)
    inputs = inputs_of_test(setting, data)
    assert table["step"] == [step for step in (3, 6, 9, steps) for _ in range(25)]
    assert table["id"] == inputs["id"].to_pylist() * 4
    with torch.no_grad():
        last = [
            model(torch.tensor([item]), torch.ones(1, len(item))).sigmoid().item() for item in setting.encode(inputs)
        ]
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
    setting = setting_of(embedded_folder)
    validation = read(setting, data, "validation")
    agrees = (setting.predict(model, setting.encode(validation.inputs)) > 0.5) == (validation.labels > 0.5)
    assert curve(tmp_path / "run", "agreement")[12] == agrees.mean()
    assert set(curve(tmp_path / "run", "accuracy")) == set(range(1, 13))
    losses = curve(tmp_path / "run", "loss")
    assert losses[1] == pytest.approx(np.log(2), abs=1e-6)  # an undecided head
    assert sum(losses[step] for step in (10, 11, 12)) < sum(losses[step] for step in (1, 2, 3))
    run("unwatched", embedded_folder)
    assert not (tmp_path / "unwatched/live/plots/metrics/agreement.tsv").exists()


def test_a_loss_that_explodes_names_the_run_and_leaves_nothing(run: Run, tmp_path: Path, embedded_folder: Path) -> None:
    with pytest.raises(UserError) as error, files.atomic(tmp_path / "models" / "student") as out:
        run(str(out.relative_to(tmp_path)), embedded_folder, learning_rate=1e30)
    message = str(error.value)
    assert message.startswith("student models/.student.tmp: the loss is ")
    assert message.endswith("; try a smaller learning_rate")
    assert " at update " in message
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
    full = predicted(tmp_path / "fp32")[-1]
    half = predicted(tmp_path / "bf16")[-1]
    assert 0 < np.abs(full - half).max() < 0.1
    setting = setting_of(embedded_folder, tune=tune, precision="bf16")
    again = ScalarHead.load_tuned(weights(tmp_path, "bf16"), embedded_folder, setting.hparams)
    assert np.array_equal(setting.predict(again, setting.encode(inputs_of_test(setting, data))), half)


def test_automatic_precision_is_that_of_the_hardware(run: Run, tmp_path: Path, embedded_folder: Path) -> None:
    run("auto", embedded_folder, precision="auto")
    found = hardware.precision("auto")
    run("named", embedded_folder, precision=found)
    assert json.loads((tmp_path / "auto" / "run.json").read_text())["precision"] == found
    assert np.array_equal(predicted(tmp_path / "auto"), predicted(tmp_path / "named"))


@pytest.mark.parametrize("setting", [*BINARY, "generation"])
def test_labels_of_other_examples_are_refused(data: Path, embedded_folder: Path, setting: str) -> None:
    labels = data / setting / "validation-labels.parquet"
    with pytest.raises(UserError) as error:
        tiny_setting(embedded_folder, setting).read(data / setting / "train.parquet", labels)
    assert str(error.value) == f"{labels}: ids do not match the inputs (60 missing, 20 unknown)"
