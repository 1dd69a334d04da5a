"""Finetuning as a language model before any labels: what it learns, and that the base model stays as it was."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

from tests.conftest import WORDS, setting_of
from w2s.core import files
from w2s.methods.generative import Generative
from w2s.models.checkpoints import MissingHeadError
from w2s.settings.base import Examples, Setting
from w2s.training.job import Job
from w2s.training.next_token import next_token
from w2s.training.texts import learn_texts

OPTIONS = {"epochs": 3, "learning_rate": 0.02}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty texts of one to nine words."""
    rng = np.random.default_rng(0)
    file = tmp_path_factory.mktemp("texts") / "texts.parquet"
    columns = {
        "id": [str(index) for index in range(40)],
        "text": [" ".join(rng.choice(WORDS, rng.integers(1, 10))) for _ in range(40)],
    }
    files.write(file, files.strings("id", "text"), columns)
    return file


def documents_of(folder: Path, texts: Path) -> list[list[int]]:
    """Token ids of all texts but those of one token, which teach nothing."""
    found = files.read(texts, files.strings("id", "text"))["text"].to_pylist()
    return [ids for ids in AutoTokenizer.from_pretrained(folder)(found)["input_ids"] if len(ids) > 1]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def losses(out: Path) -> list[float]:
    rows = (out / "texts/plots/metrics/loss.tsv").read_text().splitlines()[1:]
    return [float(row.split("\t")[1]) for row in rows]


def weights_after(folder: Path, texts: Path, out: Path, seed: int = 0, **changes: object) -> dict[str, torch.Tensor]:
    """The weights of a base model that has learnt the texts."""
    setting = setting_of(folder, **OPTIONS | changes)
    return learn_texts(setting, texts, ("texts", "student", "mine", seed), out / "texts", "student").body.state_dict()


def job_of(setting: Setting, texts: Path, out: Path) -> Job:
    """A student that learns texts before any labels."""
    none = setting.INPUTS.empty_table()
    return Job(
        setting=setting,
        examples=Examples(none, np.array([])),
        test=none,
        rng_key=("student", "mine", 0),
        out=out,
        name="student",
        texts=texts,
    )


def apart(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """How far weights have moved, on average."""
    assert one.keys() == other.keys()
    return float(torch.cat([(one[name] - other[name]).abs().flatten() for name in one]).mean())


@pytest.mark.parametrize("name", ["embedded_folder", "gpt2_folder"])
def test_next_token_is_the_librarys_own_loss(request: pytest.FixtureRequest, name: str) -> None:
    folder = request.getfixturevalue(name)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    documents = tokenizer(["the food was good", "a room", "yes is not poor and bad"])["input_ids"]
    width = max(map(len, documents))
    ids = torch.tensor([document + [3] * (width - len(document)) for document in documents])
    mask = torch.tensor([[1] * len(document) + [0] * (width - len(document)) for document in documents])
    expected = model(input_ids=ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100)).loss
    for pad in (0, 5):
        assert next_token(model, documents, pad).item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("name", ["embedded_folder", "gpt2_folder"])
def test_texts_are_learnt_bit_for_bit_and_the_base_stays(
    request: pytest.FixtureRequest, texts: Path, tmp_path: Path, name: str
) -> None:
    folder = request.getfixturevalue(name)
    before = contents(folder)
    base = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    one = weights_after(folder, texts, tmp_path / "one")
    # Whatever happened in between:
    torch.rand(3)
    two = weights_after(folder, texts, tmp_path / "two")
    other = weights_after(folder, texts, tmp_path / "other", seed=1)
    assert contents(folder) == before
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert apart(one, base) > 0.005
    assert apart(one, other) > 1e-4
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert len(losses(tmp_path / "one")) == 3 * -(-len(documents_of(folder, texts)) // 16)
    assert losses(tmp_path / "one")[-1] < losses(tmp_path / "one")[0] - 0.05


def test_it_is_a_plain_loop_over_the_next_token(texts: Path, tmp_path: Path, gpt2_folder: Path) -> None:
    """Three updates by all texts, written out by the library alone, text by text."""
    found = weights_after(gpt2_folder, texts, tmp_path, batch_size=64)
    model = AutoModelForCausalLM.from_pretrained(gpt2_folder).eval()
    documents = [torch.tensor([ids]) for ids in documents_of(gpt2_folder, texts)]
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
    whole = weights_after(embedded_folder, texts, tmp_path / "whole")
    cut = weights_after(embedded_folder, texts, tmp_path / "cut", micro_batch=tokens)
    np.testing.assert_allclose(losses(tmp_path / "cut"), losses(tmp_path / "whole"), rtol=1e-5)
    assert apart(whole, cut) < 2e-5  # of 0.01 that each has moved


@pytest.mark.parametrize("setting", ["classification", "preference", "generation"])
def test_what_texts_have_taught_is_what_learns_labels(
    texts: Path, tmp_path: Path, embedded_folder: Path, setting: str
) -> None:
    """The rest of a method starts from the very weights that the texts leave; its hyperparameters are its own."""
    started: list[Job] = []

    def train(job: Job) -> dict[str, torch.Tensor]:
        started.append(job)
        return job.load().body.state_dict()

    student = setting_of(embedded_folder, setting)
    found = Generative(**OPTIONS).apply(job_of(student, texts, tmp_path / "student"), train)
    taught = weights_after(embedded_folder, texts, tmp_path / "by-hand")
    kind = AutoModelForCausalLM if setting == "generation" else AutoModel
    base = kind.from_pretrained(embedded_folder).state_dict()
    assert apart(found, base) > 0.005
    prefix = "" if setting == "generation" else "gpt_neox."
    assert all(torch.equal(tensor, taught[prefix + name]) for name, tensor in found.items())
    assert started[0].setting.hparams == student.hparams
    assert started[0].start is not None
    assert not started[0].start.exists()
    assert contents(tmp_path / "student") == contents(tmp_path / "by-hand")


def test_an_encoder_is_refused(texts: Path, tmp_path: Path, bert_folder: Path) -> None:
    with pytest.raises(MissingHeadError, match="an encoder fills masks and cannot go on with a text"):
        learn_texts(setting_of(bert_folder, **OPTIONS), texts, ("texts",), tmp_path, "student")
