"""An embedded model is an ordinary Hugging Face checkpoint."""

import hashlib
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from tests.conftest import WORDS
from w2s.core.params import Corpus, Embedded
from w2s.data.corpora import reviews
from w2s.pretraining import ladder
from w2s.pretraining.pretrain import pretrain

KINDS = {"neox": "gpt_neox", "gpt2": "gpt2"}


@pytest.mark.parametrize("kind", KINDS)
def test_auto_classes_load_it(kind: str, tmp_path: Path) -> None:
    tokenizer = ladder.tokenizer(WORDS)
    made = ladder.initialized(ladder.architecture(kind, len(tokenizer), 48, 2), torch.Generator().manual_seed(0))
    made.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    tokenizer, model = AutoTokenizer.from_pretrained(tmp_path), AutoModelForCausalLM.from_pretrained(tmp_path)
    assert model.config.vocab_size == len(tokenizer) == len(WORDS) + 3
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    config = AutoConfig.from_pretrained(tmp_path)
    assert (config.model_type, config.num_attention_heads, config.max_position_embeddings) == (KINDS[kind], 3, 64)
    assert not list(tmp_path.glob("*.bin")) + list(tmp_path.glob("*.py"))
    text = torch.tensor(tokenizer(["the food was not bad"])["input_ids"])
    made.eval()
    assert torch.equal(model(text).logits, made(text).logits)
    model.train()
    assert torch.equal(model(text).logits, made(text).logits), "nothing is dropped out"


def test_a_text_comes_back_word_by_word(embedded_folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(embedded_folder)
    text = "the food was not bad and a room is fine"
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["<bos>", *text.split()]
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert tokenizer.convert_ids_to_tokens(tokenizer("the zebra")["input_ids"]) == ["<bos>", "the", "<unk>"]
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id) == (0, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_initial_weights_are_the_generators(kind: str) -> None:
    config = ladder.architecture(kind, 50, hidden=32, layers=2)
    one, same, other = (ladder.initialized(config, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    for (name, tensor), twin, stranger in zip(
        one.named_parameters(), same.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(tensor, twin), name
        if tensor.ndim >= 2:
            assert not torch.equal(tensor, stranger), name
            assert tensor.std().item() == pytest.approx(0.6 / 32**0.5, rel=0.1), name


CORPUS = Corpus(family="reviews", seed=0, documents=400)
BASE = Embedded(
    family="embedded",
    corpus="reviews",
    architecture="neox",
    hidden=16,
    layers=1,
    steps=60,
    learning_rate=0.01,
    warmup=0.1,
    seed=0,
)


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_the_parameters_of_a_base_model_are_used(tmp_path: Path) -> None:
    base = BASE.model_copy(update={"architecture": "gpt2", "warmup": 0.5, "steps": 40})
    pretrain(base, Corpus(family="endgames", seed=0, documents=200), "xs", tmp_path)
    assert AutoConfig.from_pretrained(tmp_path).model_type == "gpt2"
    rows = (tmp_path / "live/plots/metrics/learning_rate.tsv").read_text().splitlines()[1:]
    rates = [float(row.split("\t")[1]) for row in rows]
    assert rates == pytest.approx([0.01 * 20 / 21, 0], abs=1e-4), "still rising at half way"


@pytest.mark.slow
def test_pretraining_learns_the_language_and_repeats_to_the_bit(tmp_path: Path) -> None:
    for name in ("one", "two"):
        torch.rand(3)  # whatever happened before
        pretrain(BASE, CORPUS, "xs", tmp_path / name)
    assert digest(tmp_path / "one") == digest(tmp_path / "two")
    pretrain(BASE.model_copy(update={"seed": 1}), CORPUS, "xs", tmp_path / "three")
    assert digest(tmp_path / "one")["model.safetensors"] != digest(tmp_path / "three")["model.safetensors"]
    rows = [line.split("\t") for line in (tmp_path / "one/live/plots/metrics/loss.tsv").read_text().splitlines()]
    assert [int(row[0]) for row in rows[1:]] == [20, 40, 60]
    losses = [float(row[1]) for row in rows[1:]]
    assert losses[0] > losses[1] > losses[2]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "one")
    assert len(tokenizer) == len(reviews.vocabulary(CORPUS)) + 3
    assert losses[-1] < torch.tensor(float(len(tokenizer))).log().item() - 1  # a uniform guess
