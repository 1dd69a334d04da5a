"""Texts as token ids, these as padded tensors, and batches that memory holds."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar

import torch
from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from w2s.core.errors import UserError

T = TypeVar("T")
TRUNCATED = {"end": "left", "start": "right"}  # the side that a tokenizer cuts off, to keep the other


def encode(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_tokens: int, keep: Literal["end", "start"] = "end"
) -> list[list[int]]:
    """Each text's token ids, special tokens among them; of a text over `max_tokens`, the `keep` of it.

    Special tokens stay whichever end is cut off; what reads like one in a text is text. The tokenizer itself is left as
    it was. Raises `UserError` for a text that has no token.
    """
    before = tokenizer.truncation_side
    tokenizer.truncation_side = TRUNCATED[keep]
    try:
        ids: Any = tokenizer(plain(tokenizer, texts), truncation=True, max_length=max_tokens)["input_ids"]
    finally:
        tokenizer.truncation_side = before
    for text, tokens in zip(texts, ids, strict=True):
        if not tokens:
            raise UserError(f"the text {text!r} has not one token, so nothing of it can be read; leave it out")
    return ids


def plain(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[str]:
    """The texts, without any spelling that the tokenizer would take for a special token.

    `split_special_tokens` (`load_tokenizer`) does most: but models of whole words or of SentencePiece pieces have
    special tokens in their vocabulary, and still find them in a text. A space behind the first letter hinders that.
    """
    special = {
        index: token.content
        for index, token in tokenizer.added_tokens_decoder.items()
        if token.special and index != tokenizer.unk_token_id
    }
    found = []
    for text in texts:
        if any(name in text for name in special.values()):
            for index in special.keys() & tokenizer(text, add_special_tokens=False)["input_ids"]:
                text = text.replace(special[index], f"{special[index][0]} {special[index][1:]}")
        found.append(text)
    return found


def pad_batch(
    sequences: Sequence[Sequence[int]], pad: int, device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """Token ids and attention mask, both int64 [batch, longest], padded on the right to the longest sequence here."""
    longest = max(len(sequence) for sequence in sequences)
    ids = [[*sequence, *[pad] * (longest - len(sequence))] for sequence in sequences]
    mask = [[1] * len(sequence) + [0] * (longest - len(sequence)) for sequence in sequences]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


def longest_first(lengths: Sequence[int]) -> list[int]:
    """The indices of sequences of these lengths, the longest first."""
    return sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))


class Budget:
    """Padded tokens that one forward pass may take; halved for good whenever memory runs out.

    `tokens` are what memory holds, `cached` what a processor is fastest at (`memory.cached`).
    """

    def __init__(self, tokens: int, cached: int = sys.maxsize) -> None:
        self.tokens = tokens
        self.cached = cached
        # Of the last call of `micro_batches`: its largest batch in padded tokens, and whether all held one sequence.
        self.largest = tokens
        self.single = False

    def state_dict(self) -> dict[str, int]:
        return {"tokens": self.tokens}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.tokens = state["tokens"]

    def passes(self, lengths: Sequence[int], chosen: Sequence[int] | None = None) -> list[list[int]]:
        """`micro_batches` cut to `cached`, where no backward pass follows or memory holds all graphs together."""
        return self.micro_batches(lengths, chosen, self.cached)

    def micro_batches(
        self, lengths: Sequence[int], chosen: Sequence[int] | None = None, most: int = sys.maxsize
    ) -> list[list[int]]:
        """Indices of sequences of these `lengths` (tokens), each once, longest first, in batches within the budget.

        All indices, or the `chosen` ones; no batch of more than `most` tokens, either. A batch holds at least one
        sequence, however long.
        """
        limit = min(self.tokens, most)
        batches: list[list[int]] = []
        for index in longest_first(lengths) if chosen is None else chosen:
            if not batches or lengths[batches[-1][0]] * (len(batches[-1]) + 1) > limit:
                batches.append([])
            batches[-1].append(index)
        self.largest = max((lengths[batch[0]] * len(batch) for batch in batches), default=0)
        self.single = all(len(batch) == 1 for batch in batches)
        return batches

    def retry_on_oom(self, attempt: Callable[[], T], reset: Callable[[], None] = lambda: None) -> T:
        """The result of `attempt`, which takes its batches from `micro_batches`.

        When memory runs out, `reset` is called and `attempt` repeated with half the budget. Raises `UserError` when
        single sequences are too much already.
        """
        while True:
            try:
                return attempt()
            except RuntimeError as error:
                if not should_reduce_batch_size(error):
                    raise
            if self.single or self.tokens == 1:
                raise UserError("out of memory with one text at a time; try tune: lora or gradient_checkpointing: true")
            reset()
            clear_device_cache(garbage_collection=True)
            self.tokens = max(1, min(self.tokens, self.largest) // 2)
            print(f"out of memory: going on with {self.tokens} tokens a forward pass", file=sys.stderr)
