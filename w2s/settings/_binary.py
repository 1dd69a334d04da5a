"""What classification and preference share: one logit z an example, and P = σ(z)."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from w2s.core import files
from w2s.models.heads import ScalarHead
from w2s.models.zero_shot import next_words
from w2s.settings import Item, Labelled, Reader

TINY = np.finfo(np.float32).eps


class Binary(Reader):
    """Labels and answers are probabilities; weak ones are soft."""

    LABELS = files.LABELS
    HEAD = ScalarHead

    def learnable(self, examples: Labelled) -> tuple[Sequence[Item], Tensor]:
        return examples.items, torch.tensor(examples.labels).float()

    def right(self, scores: Tensor, labels: Tensor) -> Tensor:
        return (scores > 0) == (labels > 0.5)

    def answers(self, model: ScalarHead, items: Sequence[Item]) -> np.ndarray:
        return self.scores(model, items).cpu().double().sigmoid().numpy()

    def agree(self, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        return (some > 0.5) == (others > 0.5)

    def distance(self, answers: np.ndarray, labels: np.ndarray) -> float:
        """Mean cross-entropy."""
        p = np.clip(answers, TINY, 1 - TINY)
        return float(-(labels * np.log(p) + (1 - labels) * np.log1p(-p)).mean())

    def mixed(self, order: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """By turns one thought true and one thought false."""
        true = labels[order] > 0.5
        rank = np.where(true, np.cumsum(true), np.cumsum(~true))
        return order[np.lexsort((~true, rank))]

    def features(self, model: ScalarHead, items: Sequence[Item]) -> np.ndarray:
        return np.stack(self.each(self.represented, model, items))

    @abstractmethod
    def represented(self, model: ScalarHead, items: Sequence[Item]) -> np.ndarray:
        """What the head reads of one batch, fp32 [examples, hidden]."""

    def word(self, true: bool) -> str:
        """The first of the task's words for an answer."""
        return (self.task.answers.true if true else self.task.answers.false)[0]

    def cut(self, texts: list[str]) -> list[list[int]]:
        """Each text's token ids, cut at the front to the context: what is asked stands at the end."""
        self.tokenizer.truncation_side = "left"
        encoded: list[list[int]] = self.tokenizer(texts, truncation=True, max_length=self.context)["input_ids"]
        return encoded

    def odds(self, texts: list[str]) -> np.ndarray:
        """Log-odds [texts], by the base model, that one of the task's true answer words comes next, not a false one."""
        words = self.task.answers
        scores = next_words(self.base, texts, [*words.true, *words.false], self.settings, self.context)
        true, false = np.split(scores, [len(words.true)], axis=1)
        return np.logaddexp.reduce(true, axis=1) - np.logaddexp.reduce(false, axis=1)


def probability(odds: np.ndarray) -> np.ndarray:
    """σ of log-odds, without overflow."""
    return np.exp(-np.logaddexp(0, -odds))
