"""Classification: one text in, P(true) out (the paper's NLP setting)."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from torch import Tensor

from w2s.core import files
from w2s.models.batches import pad_batch
from w2s.models.hardware import device
from w2s.models.heads import ScalarHead
from w2s.settings._binary import Binary, probability


class Setting(Binary):
    """An item is a text's token ids."""

    INPUTS = files.TEXTS

    def encode(self, inputs: pa.Table) -> list[list[int]]:
        return self.cut(inputs["text"].to_pylist())

    def tokens(self, item: list[int]) -> int:
        return len(item)

    def scores(self, model: ScalarHead, items: Sequence[list[int]]) -> Tensor:
        """z [examples], P(true) = σ(z)."""
        return model(*pad_batch(items, self.pad, device()))

    def represented(self, model: ScalarHead, items: Sequence[list[int]]) -> np.ndarray:
        return model.features(*pad_batch(items, self.pad, device())).float().numpy(force=True)

    def shown(self, inputs: pa.Table, labels: np.ndarray) -> list[str]:
        return [f"{text} {self.word(p > 0.5)}" for text, p in zip(inputs["text"].to_pylist(), labels, strict=True)]

    def untaught(self, inputs: pa.Table, lead: str = "") -> np.ndarray:
        return probability(self.odds([lead + text for text in inputs["text"].to_pylist()]))
