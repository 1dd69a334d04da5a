"""An embedded model is an ordinary Hugging Face checkpoint."""

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from tests.conftest import WORDS
from w2s.core.params import Corpus, Embedded
from w2s.data.corpora import reviews
from w2s.pretraining import ladder
from w2s.pretraining.pretrain import batches, pretrain, rate

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


CORPUS = Corpus(family="reviews", documents=400)
BASE = Embedded(
    family="embedded",
    corpus="reviews",
    architecture="neox",
    hidden=16,
    layers=1,
    steps=60,
    learning_rate=0.01,
    warmup=0.1,
)


def weights(base: Embedded, corpus: Corpus = CORPUS, seed: int = 0) -> dict[str, torch.Tensor]:
    torch.rand(3)  # whatever happened before
    model, _, _ = pretrain(base, corpus, "xs", seed)
    return model.state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, other[name]) for name, tensor in one.items())


def test_the_parameters_of_a_base_model_are_used() -> None:
    base = BASE.model_copy(update={"architecture": "gpt2", "steps": 10})
    corpus = Corpus(family="endgames", documents=200)
    model, _, losses = pretrain(base, corpus, "xs", 0)
    assert (model.config.model_type, len(losses)) == ("gpt2", 10)
    before = weights(base, corpus)
    for change in ({"warmup": 0.5}, {"learning_rate": 0.02}, {"steps": 11}):
        assert not same(before, weights(base.model_copy(update=change), corpus)), change


def test_warm_up_rises_to_the_peak_and_a_cosine_falls_to_zero() -> None:
    base = BASE.model_copy(update={"warmup": 0.5, "steps": 40})
    rates = [rate(base, step) for step in range(40)]
    assert rates.index(max(rates)) == 20
    assert max(rates) == pytest.approx(0.01)
    assert rates[0] == pytest.approx(0.01 / 21)
    assert rates[-1] < 0.0002
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)


def test_every_document_is_learned_once_a_pass() -> None:
    documents = [[1, *range(3, 3 + length % 7 + 1)] for length in range(100)]
    drawn = batches(documents, torch.Generator().manual_seed(0))
    passes = [[document for _ in range(4) for document in next(drawn)] for _ in range(2)]
    assert sorted(passes[0]) == sorted(passes[1]) == sorted(documents)
    assert passes[0] != passes[1]


@pytest.mark.slow
def test_pretraining_learns_the_language_and_repeats_to_the_bit() -> None:
    model, tokenizer, losses = pretrain(BASE, CORPUS, "xs", 0)
    assert same(model.state_dict(), weights(BASE))
    assert not same(model.state_dict(), weights(BASE, seed=1))
    assert all(tensor.dtype is torch.bfloat16 for tensor in model.state_dict().values())
    assert sum(losses[:20]) > sum(losses[20:40]) > sum(losses[40:])
    assert len(tokenizer) == len(reviews.vocabulary(CORPUS, 0)) + 3
    assert losses[-1] < torch.tensor(float(len(tokenizer))).log().item() - 1  # a uniform guess
