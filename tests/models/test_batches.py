"""Padding, and batches that memory holds."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests import hub
from w2s.core.errors import UserError
from w2s.models.batches import Budget, encode, pad_batch
from w2s.models.checkpoints import load_tokenizer

sequences = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=9), min_size=1, max_size=9)


@given(sequences, st.integers(0, 5))
def test_the_mask_marks_exactly_the_sequences(sequences: list[list[int]], pad: int) -> None:
    ids, mask = pad_batch(sequences, pad)
    assert ids.dtype == mask.dtype == torch.int64
    assert ids.shape == mask.shape == (len(sequences), max(map(len, sequences)))
    for row, marks, sequence in zip(ids.tolist(), mask.tolist(), sequences, strict=True):
        assert row == sequence + [pad] * (len(row) - len(sequence))
        assert marks == [1] * len(sequence) + [0] * (len(row) - len(sequence))


@pytest.mark.parametrize("max_tokens", [3, 5, 64])
def test_encoding_is_the_tokenizers_own_truncation_at_either_end(checkpoint: Path, max_tokens: int) -> None:
    texts = ["the food was not bad and a room is fine", "good", "a room"]
    tokenizer = load_tokenizer(checkpoint)
    own = {}
    for keep, side in (("end", "left"), ("start", "right")):
        other = load_tokenizer(checkpoint)
        other.truncation_side = side
        own[keep] = other(texts, truncation=True, max_length=max_tokens)["input_ids"]
        for default in ("left", "right"):
            tokenizer.truncation_side = default
            assert encode(tokenizer, texts, max_tokens, keep) == own[keep]
            assert tokenizer.truncation_side == default
    assert (own["end"] == own["start"]) == (max_tokens == 64)
    assert max(map(len, own["end"])) <= max_tokens


lengths = st.lists(st.integers(1, 50), min_size=1, max_size=60)


@given(lengths, st.integers(1, 200))
def test_a_cut_takes_every_index_once_longest_first_within_the_budget(lengths: list[int], tokens: int) -> None:
    batches = Budget(tokens).micro_batches(lengths)
    order = [index for batch in batches for index in batch]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[index] for index in order] == sorted(lengths, reverse=True)
    for batch, following in zip(batches, [*batches[1:], []], strict=True):
        longest = lengths[batch[0]]
        assert longest * len(batch) <= tokens or len(batch) == 1
        assert not following or longest * (len(batch) + 1) > tokens  # none is smaller than it has to be


def test_a_pass_is_no_larger_than_the_cache_nor_than_memory() -> None:
    assert list(map(len, Budget(100, cached=30).passes([10] * 7))) == [3, 3, 1]
    assert list(map(len, Budget(20, cached=30).passes([10] * 4))) == [2, 2]
    assert list(map(len, Budget(100, cached=30).micro_batches([10] * 7))) == [7]


def out_of_memory() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")


def test_the_budget_is_halved_until_the_attempt_fits(capsys: pytest.CaptureFixture[str]) -> None:
    budget, resets = Budget(64), []

    def attempt() -> int:
        budget.micro_batches([5] * 8)  # 40 tokens in all
        if budget.tokens > 10:
            out_of_memory()
        return budget.tokens

    assert budget.retry_on_oom(attempt, lambda: resets.append(budget.tokens)) == 10
    assert resets == [64, 20]  # half of what was taken, not of what might have been
    assert budget.tokens == 10
    assert capsys.readouterr().err.splitlines()[-1] == "out of memory: going on with 10 tokens a forward pass"


@pytest.mark.slow
def test_memory_that_does_not_hold_one_text_is_an_error() -> None:
    with pytest.raises(UserError, match=r"^out of memory with one text at a time; try tune: lora or"):
        Budget(16).retry_on_oom(out_of_memory)
    budget = Budget(16)
    with pytest.raises(UserError, match="one text at a time"):  # each alone already: no use trying again
        budget.retry_on_oom(lambda: (budget.micro_batches([9, 9]), out_of_memory()))
    assert budget.tokens == 16


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        Budget(16).retry_on_oom(lambda: exec("raise RuntimeError('shapes do not match')"))


@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "qwen3"])
def test_special_tokens_in_a_text_are_text(name: str, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(hub.ARCHITECTURES[name](tmp_path / name, ["the food was good"] * 9))
    special = {index: token.content for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    (own,) = encode(tokenizer, ["the food"], 99)
    for word in special.values():
        (found,) = encode(tokenizer, [f"the {word} food {word}{word}"], 99)
        count = [sum(token in special and token != tokenizer.unk_token_id for token in ids) for ids in (found, own)]
        assert count[0] == count[1], word


def test_special_tokens_in_a_text_are_text_to_models_of_whole_words(checkpoint: Path) -> None:
    tokenizer = load_tokenizer(checkpoint)
    (own,) = encode(tokenizer, ["the food"], 32)
    for token in set(tokenizer.all_special_tokens) - {tokenizer.unk_token}:
        (found,) = encode(tokenizer, [f"the {token} food"], 32)
        own_ids = [index for index in own if index in tokenizer.all_special_ids]
        assert [i for i in found if i in tokenizer.all_special_ids and i != tokenizer.unk_token_id] == own_ids
