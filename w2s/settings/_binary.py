"""What classification and preference share: one logit z an example, and P = σ(z)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from w2s import records
from w2s.models.heads import ScalarHead
from w2s.models.language import next_words
from w2s.settings import Item, Labelled, Reader


class Binary(Reader):
    """Labels and answers are probabilities; weak ones are soft."""

    LABELS = records.LABELS
    HEAD = ScalarHead

    def learnable(self, examples: Labelled) -> tuple[Sequence[Item], Tensor]:
        return examples.items, torch.tensor(examples.labels).float()

    def right(self, scores: Tensor, labels: Tensor) -> Tensor:
        return (scores > 0) == (labels > 0.5)

    def answers(self, model: ScalarHead, items: Sequence[Item]) -> np.ndarray:
        return self.scores(model, items).double().sigmoid().numpy(force=True)

    def agree(self, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        return (some > 0.5) == (others > 0.5)

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
