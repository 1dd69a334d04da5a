"""Generation: a prompt in, an answer in words out (the paper's chess setting)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from w2s.core import files
from w2s.core.errors import UserError
from w2s.core.params import Finetune, Method, Params
from w2s.models.batches import pad_batch
from w2s.models.hardware import device
from w2s.models.heads import LanguageHead
from w2s.settings import Labelled, Loss, Reader


class Item(NamedTuple):
    """Token ids of a prompt and, to learn from, of its answer."""

    prompt: list[int]
    answer: list[int]


def likelihood(scores: Tensor, labels: Tensor, progress: float) -> Tensor:
    """Cross-entropy of the next token, mean over the batch's answer tokens; nothing is learned of the prompt."""
    return -scores[:, 0].sum() / labels.sum().clamp(min=1)


class Setting(Reader):
    """Labels and answers are texts; a weak label is the supervisor's own answer at temperature 0 (paper, section 4.2).

    Scores are each answer's log-likelihood and whether every token of it was the likeliest one [examples, 2]; in
    training a label is the answer's number of tokens.
    """

    INPUTS = files.TEXTS
    LABELS = files.ANSWERS
    HEAD = LanguageHead
    LOSSES: ClassVar[Mapping[str, Loss]] = {"cross_entropy": likelihood}

    def __init__(self, params: Params, task: str, model: str, method: str | None, bases: Path) -> None:
        super().__init__(params, task, model, method, bases)
        if self.task.answer_tokens >= self.context:
            raise UserError(
                f"params.yaml: tasks.{task}.answer_tokens: {self.task.answer_tokens} leave no room for a prompt in the "
                f"{self.context} tokens that {model} reads"
            )

    @classmethod
    def refuse(cls, name: str, method: Method, finetune: Finetune) -> None:
        super().refuse(name, method, finetune)
        if method.loss not in cls.LOSSES:
            raise UserError(
                f"params.yaml: methods.{name}.loss: '{method.loss}' asks how sure a model is of a yes or no, which "
                f"an answer in words does not tell; generation takes {', '.join(cls.LOSSES)}"
            )
        for part, why in {
            "labels": method.labels == "hard" and "answers in words are hard labels already",
            "clean": method.clean and "probes need one yes or no, not answers in words",
            "probe": method.probe is not None and "models that answer in words have no new head to train first",
        }.items():
            if why:
                raise UserError(f"params.yaml: methods.{name}.{part}: not in generation: {why}")
        if finetune.tune == "head":
            raise UserError("params.yaml: tune: head has nothing to learn in generation, whose models answer in words")

    def encode(self, inputs: pa.Table) -> list[Item]:
        """Prompts are cut at the front, so that the longest answer fits behind them."""
        self.tokenizer.truncation_side = "left"
        room = self.context - self.task.answer_tokens
        prompts = self.tokenizer(inputs["text"].to_pylist(), truncation=True, max_length=room)["input_ids"]
        return [Item(prompt, []) for prompt in prompts]

    def tokens(self, item: Item) -> int:
        return len(item.prompt) + self.task.answer_tokens

    def learnable(self, examples: Labelled) -> tuple[list[Item], Tensor]:
        """An answer is read as it stands after a word, and ends with the tokenizer's end of text, if it has one.

        What a supervisor said may take more tokens than `answer_tokens` in another tokenizer, and is cut.
        """
        end, limit = [self.tokenizer.eos_token_id] * (self.tokenizer.eos_token_id is not None), self.task.answer_tokens
        after_a_word = ["x", *(f"x {answer}" for answer in examples.labels)]
        word, *read = self.tokenizer(after_a_word, add_special_tokens=False)["input_ids"]
        answers = [ids[len(word) :] for ids in read]
        for text, ids in zip(examples.labels, answers, strict=True):
            if len(ids) > limit and not examples.weak:
                raise UserError(f"params.yaml: answer_tokens is {limit}, but the answer '{text}' takes {len(ids)}")
        answers = [(ids + end)[:limit] for ids in answers]  # one that a supervisor did not end is not ended here
        items = [Item(item.prompt, answer) for item, answer in zip(examples.items, answers, strict=True)]
        return items, torch.tensor([len(answer) for answer in answers]).float()

    def scores(self, model: LanguageHead, items: Sequence[Item]) -> Tensor:
        ids, mask = pad_batch([item.prompt + item.answer for item in items], self.pad, device())
        rows = torch.arange(len(items), device=ids.device)[:, None]
        steps = torch.arange(max(len(item.answer) for item in items), device=ids.device)
        sizes = torch.tensor([[len(item.prompt), len(item.answer)] for item in items], device=ids.device)
        start, length = sizes[:, :1], sizes[:, 1:]
        told, before = steps < length, (start + steps - 1).clamp(max=ids.shape[1] - 2)
        places = before.unique()  # a vocabulary's logits are large: only where they are read
        logits = model(ids, mask, places)[rows, torch.searchsorted(places, before)]
        targets = ids[rows, before + 1]
        missed = cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)
        likely = (logits.argmax(-1) == targets) | ~told
        return torch.stack([-(missed * told).sum(1), likely.all(1).float()], dim=1)

    def right(self, scores: Tensor, labels: Tensor) -> Tensor:
        return scores[:, 1] > 0

    def answers(self, model: LanguageHead, items: Sequence[Item]) -> np.ndarray:
        ids, mask = (part.flip(1) for part in pad_batch([item.prompt[::-1] for item in items], self.pad, device()))
        said = model.generate(ids, mask, self.task.answer_tokens, self.pad, self.tokenizer.eos_token_id)
        return np.array([text.strip() for text in self.tokenizer.batch_decode(said, skip_special_tokens=True)], object)

    def agree(self, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        return some == others

    def distance(self, answers: np.ndarray, labels: np.ndarray) -> float:
        """Share of other answers."""
        return float((answers != labels).mean())

    def mixed(self, order: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return order

    def shown(self, inputs: pa.Table, labels: np.ndarray) -> list[str]:
        return [f"{text} {answer}" for text, answer in zip(inputs["text"].to_pylist(), labels, strict=True)]

    def untaught(self, inputs: pa.Table, lead: str = "") -> np.ndarray:
        prompts = pa.chunked_array([[lead + text for text in inputs["text"].to_pylist()]])
        frozen = self.settings.model_copy(update={"tune": "head"})
        model = LanguageHead.load_base(self.base, frozen, torch.Generator())
        return self.predict(model, self.encode(inputs.set_column(inputs.column_names.index("text"), "text", prompts)))
