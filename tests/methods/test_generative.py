"""Finetuning as a language model before any labels: what it learns, and that the base model stays as it was."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

from tests.conftest import WORDS, setting_of
from w2s.core import files
from w2s.core.params import Before, Method
from w2s.methods.generative import start
from w2s.models.checkpoints import MissingHeadError
from w2s.training.next_token import next_token

PLAIN = Method(loss="cross_entropy")
LEARNING = Method(loss="cross_entropy", texts=Before(epochs=3, learning_rate=0.02))


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty texts of one to nine words."""
    rng, file = np.random.default_rng(0), tmp_path_factory.mktemp("texts") / "texts.parquet"
    columns = {
        "id": [str(index) for index in range(40)],
        "text": [" ".join(rng.choice(WORDS, rng.integers(1, 10))) for _ in range(40)],
    }
    files.write(file, files.strings("id", "text"), columns)
    return file


def learnable(folder: Path, texts: Path) -> list[list[int]]:
    """Token ids of all texts but those of one token, which teach nothing."""
    found = files.read(texts, files.strings("id", "text"))["text"].to_pylist()
    return [ids for ids in AutoTokenizer.from_pretrained(folder)(found)["input_ids"] if len(ids) > 1]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def losses(out: Path) -> list[float]:
    rows = (out / "texts/plots/metrics/loss.tsv").read_text().splitlines()[1:]
    return [float(row.split("\t")[1]) for row in rows]


def begun(folder: Path, texts: Path, out: Path, seed: int = 0, **changes: object) -> dict[str, torch.Tensor]:
    """The weights with which a method that learns texts begins."""
    reader = setting_of(folder, **changes)
    with start(reader, LEARNING, texts, ("student", "mine", seed), out, "student") as first:
        assert first != reader.base
        weights = AutoModelForCausalLM.from_pretrained(first).state_dict()
    assert not first.exists()
    return weights


def apart(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """How far weights have moved, on average."""
    assert one.keys() == other.keys()
    return float(torch.cat([(one[name] - other[name]).abs().flatten() for name in one]).mean())


@pytest.mark.parametrize("name", ["embedded_folder", "gpt2_folder"])
def test_next_token_is_the_librarys_own_loss(request: pytest.FixtureRequest, name: str) -> None:
    folder = request.getfixturevalue(name)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    documents = tokenizer(["the food was good", "a room", "yes is not poor and bad"])["input_ids"]
    width = max(map(len, documents))
    ids = torch.tensor([document + [3] * (width - len(document)) for document in documents])
    mask = torch.tensor([[1] * len(document) + [0] * (width - len(document)) for document in documents])
    expected = model(input_ids=ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100)).loss
    for pad in (0, 5):
        assert next_token(model, documents, pad).item() == pytest.approx(expected.item(), rel=1e-6)


def test_without_texts_a_method_begins_at_the_base(embedded_folder: Path, tmp_path: Path) -> None:
    reader = setting_of(embedded_folder)
    with start(reader, PLAIN, tmp_path / "none.parquet", ("student",), tmp_path / "out", "student") as first:
        assert first == embedded_folder
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["embedded_folder", "gpt2_folder"])
def test_texts_are_learnt_bit_for_bit_and_the_base_stays(
    request: pytest.FixtureRequest, texts: Path, tmp_path: Path, name: str
) -> None:
    folder = request.getfixturevalue(name)
    before, base = contents(folder), AutoModelForCausalLM.from_pretrained(folder).state_dict()
    one = begun(folder, texts, tmp_path / "one")
    torch.rand(3)  # whatever happened in between
    two, other = begun(folder, texts, tmp_path / "two"), begun(folder, texts, tmp_path / "other", seed=1)
    assert contents(folder) == before
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert apart(one, base) > 0.005
    assert apart(one, other) > 1e-4
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert len(losses(tmp_path / "one")) == 3 * -(-len(learnable(folder, texts)) // 16)
    assert losses(tmp_path / "one")[-1] < losses(tmp_path / "one")[0] - 0.05


def test_it_is_a_plain_loop_over_the_next_token(texts: Path, tmp_path: Path, gpt2_folder: Path) -> None:
    """Three updates by all texts, written out by the library alone, text by text."""
    found = begun(gpt2_folder, texts, tmp_path, batch_size=64)
    model = AutoModelForCausalLM.from_pretrained(gpt2_folder).eval()
    documents = [torch.tensor([ids]) for ids in learnable(gpt2_folder, texts)]
    assert len(documents) < 40
    decayed = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    optimizer = torch.optim.AdamW([{"params": decayed}, {"params": others, "weight_decay": 0.0}], weight_decay=0.01)
    expected = []
    for rate in (1 / 1.3, *(0.5 * (1 + np.cos(np.pi * (step - 0.3) / 2.7)) for step in (1, 2))):
        for group in optimizer.param_groups:
            group["lr"] = 0.02 * rate
        optimizer.zero_grad()
        targets = sum(ids.shape[1] - 1 for ids in documents)
        loss = sum(model(input_ids=ids, labels=ids).loss * (ids.shape[1] - 1) / targets for ids in documents)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        expected.append(loss.item())
    np.testing.assert_allclose(losses(tmp_path), expected, rtol=1e-5)
    assert apart(found, model.state_dict()) < 1e-5  # of 0.01 that each has moved


@pytest.mark.parametrize("tokens", [1, 30, 100])
def test_a_batch_may_be_cut_into_any_parts(texts: Path, tmp_path: Path, embedded_folder: Path, tokens: int) -> None:
    whole = begun(embedded_folder, texts, tmp_path / "whole")
    cut = begun(embedded_folder, texts, tmp_path / "cut", micro_batch=tokens)
    np.testing.assert_allclose(losses(tmp_path / "cut"), losses(tmp_path / "whole"), rtol=1e-5)
    assert apart(whole, cut) < 1e-5


@pytest.mark.parametrize("setting", ["classification", "preference", "generation"])
def test_what_texts_have_taught_is_what_learns_labels(
    texts: Path, tmp_path: Path, embedded_folder: Path, setting: str
) -> None:
    reader = setting_of(embedded_folder, setting)
    with start(reader, LEARNING, texts, ("student",), tmp_path, "student") as first:
        model: Any = reader.HEAD.load_base(first, reader.settings, torch.Generator(), reader.base)
        kind = AutoModelForCausalLM if setting == "generation" else AutoModel
        taught, base = (kind.from_pretrained(folder).state_dict() for folder in (first, embedded_folder))
    assert all(torch.equal(tensor, taught[name]) for name, tensor in model.body.state_dict().items())
    assert apart(taught, base) > 0.005


def test_an_encoder_is_refused(texts: Path, tmp_path: Path, bert_folder: Path) -> None:
    with (
        pytest.raises(MissingHeadError, match="an encoder fills masks and cannot go on with a text"),
        start(setting_of(bert_folder), LEARNING, texts, ("student",), tmp_path, "student"),
    ):
        pass
