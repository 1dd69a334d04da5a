"""What classification and preference share: one logit z an example, and P = σ(z)."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from w2s.core import files
from w2s.core.params import Answers
from w2s.models.answers import require_distinct
from w2s.models.batches import encode
from w2s.models.heads import ScalarHead
from w2s.models.zero_shot import next_words
from w2s.settings.base import Examples, Item, Setting

TINY = np.finfo(np.float32).eps


def cross_entropy(logits: Tensor, labels: Tensor, progress: float) -> Tensor:
    """Mean CE(f, label) with f = σ(z) and labels in [0, 1]; both [batch]."""
    return binary_cross_entropy_with_logits(logits, labels)


class Binary(Setting):
    """Labels and answers are probabilities; weak ones are soft. A model's outputs are logits z [batch]."""

    LABELS = files.LABELS
    HEAD = ScalarHead
    PROBABILITIES: ClassVar[bool] = True

    def training_targets(self, examples: Examples) -> tuple[Sequence[Item], Tensor]:
        return self.encode(examples.inputs), torch.tensor(examples.labels).float()

    def default_loss(self, outputs: Tensor, targets: Tensor, progress: float) -> Tensor:
        return cross_entropy(outputs, targets, progress)

    def is_correct(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs > 0) == (targets > 0.5)

    def answer_batch(self, model: ScalarHead, items: Sequence[Item]) -> np.ndarray:
        return self.outputs(model, items).cpu().double().sigmoid().numpy()

    def agree(self, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        return (some > 0.5) == (others > 0.5)

    def distance(self, answers: np.ndarray, labels: np.ndarray) -> float:
        """Mean cross-entropy."""
        p = np.clip(answers, TINY, 1 - TINY)
        return float(-(labels * np.log(p) + (1 - labels) * np.log1p(-p)).mean())

    def balanced_order(self, order: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """By turns one labelled true and one labelled false."""
        true = labels[order] > 0.5
        rank = np.where(true, np.cumsum(true), np.cumsum(~true))
        return order[np.lexsort((~true, rank))]

    def features(self, model: ScalarHead, items: Sequence[Item]) -> np.ndarray:
        return np.stack(self.map_batches(self.feature_batch, model, items))

    @abstractmethod
    def feature_batch(self, model: ScalarHead, items: Sequence[Item]) -> np.ndarray:
        """What the head reads of one batch, fp32 [batch, hidden]."""

    @property
    def answer_words(self) -> Answers:
        """The task's words for yes and no."""
        # Validation refuses a task of these settings without them.
        assert self.task.answers is not None
        return self.task.answers

    def answer_word(self, true: bool) -> str:
        """The first of the task's words for an answer."""
        return (self.answer_words.true if true else self.answer_words.false)[0]

    def encode_texts(self, texts: list[str]) -> list[list[int]]:
        """Each text's token ids; of a text longer than the context the end, where the question stands."""
        return encode(self.tokenizer, texts, self.max_context, keep="end")

    def log_odds(self, texts: list[str]) -> np.ndarray:
        """Log-odds [texts], by the base model, that one of the task's true answer words comes next, not a false one."""
        words = self.answer_words
        # Once more after stage `base`: words may change without the model.
        require_distinct(self.tokenizer, words, f"params.yaml: tasks.{self.task_name}.answers")
        scores = next_words(self.base, texts, [*words.true, *words.false], self.hparams, self.max_context)
        true, false = np.split(scores, [len(words.true)], axis=1)
        return np.logaddexp.reduce(true, axis=1) - np.logaddexp.reduce(false, axis=1)


def probability(log_odds: np.ndarray) -> np.ndarray:
    """σ of log-odds, without overflow."""
    return np.exp(-np.logaddexp(0, -log_odds))
