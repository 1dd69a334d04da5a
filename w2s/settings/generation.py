"""Generation: a prompt in, an answer in words out (the paper's chess setting)."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from w2s.core import files
from w2s.core.errors import UserError
from w2s.core.params import Finetune, Params
from w2s.models.batches import encode, pad_batch, plain
from w2s.models.hardware import device
from w2s.models.heads import LanguageHead
from w2s.settings.base import Examples, Setting


class Item(NamedTuple):
    """Token ids of a prompt and, to learn from, of its answer."""

    prompt: list[int]
    answer: list[int]


class Generation(Setting):
    """Labels and answers are texts; a weak label is the supervisor's own answer at temperature 0 (paper, section 4.2).

    The answer to learn is part of the encoded example. A target is its number of tokens; outputs [batch, 2] are its
    log-likelihood, and 1 where every token of it is the likeliest one.
    """

    INPUTS = files.TEXTS
    LABELS = files.ANSWERS
    HEAD = LanguageHead
    PROBABILITIES: ClassVar[bool] = False

    def __init__(self, params: Params, task: str, model: str, method: str | None, bases: Path) -> None:
        super().__init__(params, task, model, method, bases)
        if self.answer_tokens >= self.max_context:
            raise UserError(
                f"params.yaml: tasks.{task}.answer_tokens: {self.answer_tokens} leave no room for a prompt in the "
                f"{self.max_context} tokens that {model} reads"
            )

    @classmethod
    def check(cls, hparams: Finetune) -> None:
        if hparams.tune == "head":
            raise UserError("params.yaml: tune: head has nothing to learn in generation, whose models answer in words")

    @property
    def answer_tokens(self) -> int:
        """Tokens that an answer may take at most."""
        # Validation refuses a task of this setting without.
        assert self.task.answer_tokens is not None
        return self.task.answer_tokens

    def encode(self, inputs: pa.Table) -> list[Item]:
        """Prompts, cut at the front so that the longest answer fits behind them."""
        room = self.max_context - self.answer_tokens
        prompts = encode(self.tokenizer, inputs["text"].to_pylist(), room, keep="end")
        return [Item(prompt, []) for prompt in prompts]

    def length(self, item: Item) -> int:
        return len(item.prompt) + self.answer_tokens

    def training_targets(self, examples: Examples) -> tuple[list[Item], Tensor]:
        """Each answer is tokenised as it stands after a word, and ends with the tokenizer's end of text, if it has one.

        A supervisor's answer may take more tokens than `answer_tokens` in another tokenizer, and is cut; a true one
        raises `UserError`.
        """
        limit = self.answer_tokens
        eos = self.tokenizer.eos_token_id
        end = [] if eos is None else [eos]
        after_a_word = plain(self.tokenizer, ["x", *(f"x {answer}" for answer in examples.labels)])
        word, *encoded = self.tokenizer(after_a_word, add_special_tokens=False)["input_ids"]
        answers = [ids[len(word) :] for ids in encoded]
        for text, ids in zip(examples.labels, answers, strict=True):
            if len(ids) > limit and not examples.weak:
                raise UserError(f"params.yaml: answer_tokens is {limit}, but the answer '{text}' takes {len(ids)}")
        # An answer that a supervisor did not end is not ended here.
        answers = [(ids + end)[:limit] for ids in answers]
        prompts = self.encode(examples.inputs)
        items = [Item(item.prompt, answer) for item, answer in zip(prompts, answers, strict=True)]
        return items, torch.tensor([len(answer) for answer in answers]).float()

    def outputs(self, model: LanguageHead, items: Sequence[Item]) -> Tensor:
        ids, mask = pad_batch([item.prompt + item.answer for item in items], self.pad, device())
        rows = torch.arange(len(items), device=ids.device)[:, None]
        steps = torch.arange(max(len(item.answer) for item in items), device=ids.device)
        sizes = torch.tensor([[len(item.prompt), len(item.answer)] for item in items], device=ids.device)
        start = sizes[:, :1]
        is_answer = steps < sizes[:, 1:]
        before = (start + steps - 1).clamp(max=ids.shape[1] - 2)
        # Logits of a large vocabulary take much memory: only where they are read.
        positions = before.unique()
        logits = model(ids, mask, positions)[rows, torch.searchsorted(positions, before)]
        targets = ids[rows, before + 1]
        token_loss = cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)
        likeliest = (logits.argmax(-1) == targets) | ~is_answer
        return torch.stack([-(token_loss * is_answer).sum(1), likeliest.all(1).float()], dim=1)

    def default_loss(self, outputs: Tensor, targets: Tensor, progress: float) -> Tensor:
        """Mean over the batch's answer tokens; nothing is learned of the prompt."""
        return -outputs[:, 0].sum() / targets.sum().clamp(min=1)

    def is_correct(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs[:, 1] > 0

    def answer_batch(self, model: LanguageHead, items: Sequence[Item]) -> np.ndarray:
        # Padding on the left: reversed prompts are padded on the right and reversed back.
        padded = pad_batch([item.prompt[::-1] for item in items], self.pad, device())
        ids, mask = (tensor.flip(1) for tensor in padded)
        answers = model.generate(ids, mask, self.answer_tokens, self.pad, self.tokenizer.eos_token_id)
        texts = self.tokenizer.batch_decode(answers, skip_special_tokens=True)
        return np.array([text.strip() for text in texts], object)

    def agree(self, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        return some == others

    def distance(self, answers: np.ndarray, labels: np.ndarray) -> float:
        """Share of other answers."""
        return float((answers != labels).mean())

    def balanced_order(self, order: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return order

    def format_shots(self, inputs: pa.Table, labels: np.ndarray) -> list[str]:
        return [f"{text} {answer}" for text, answer in zip(inputs["text"].to_pylist(), labels, strict=True)]

    def zero_shot(self, inputs: pa.Table, lead: str = "") -> np.ndarray:
        prompts = pa.chunked_array([[lead + text for text in inputs["text"].to_pylist()]])
        frozen = self.hparams.model_copy(update={"tune": "head"})
        model = LanguageHead.load_base(self.base, frozen, torch.Generator())
        column = inputs.column_names.index("text")
        return self.predict(model, self.encode(inputs.set_column(column, "text", prompts)))
