"""Classification: one text in, P(true) out (the paper's NLP setting)."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from torch import Tensor

from w2s.core import files
from w2s.models.batches import pad_batch
from w2s.models.hardware import device
from w2s.models.heads import ScalarHead
from w2s.settings.binary import Binary, probability


class Classification(Binary):
    """An encoded example is a text's token ids."""

    INPUTS = files.TEXTS

    def encode(self, inputs: pa.Table) -> list[list[int]]:
        return self.encode_texts(inputs["text"].to_pylist())

    def length(self, item: list[int]) -> int:
        return len(item)

    def outputs(self, model: ScalarHead, items: Sequence[list[int]]) -> Tensor:
        """Logits z [batch], P(true) = σ(z)."""
        return model(*pad_batch(items, self.pad, device()))

    def feature_batch(self, model: ScalarHead, items: Sequence[list[int]]) -> np.ndarray:
        return model.features(*pad_batch(items, self.pad, device())).float().numpy(force=True)

    def format_shots(self, inputs: pa.Table, labels: np.ndarray) -> list[str]:
        """Each text goes on with the word for its label."""
        texts = inputs["text"].to_pylist()
        return [f"{text} {self.answer_word(p > 0.5)}" for text, p in zip(texts, labels, strict=True)]

    def zero_shot(self, inputs: pa.Table, lead: str = "") -> np.ndarray:
        return probability(self.log_odds([lead + text for text in inputs["text"].to_pylist()]))
