"""Preference: two texts in, P(the first is better) out, by a reward model (the paper's third setting)."""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from torch import Tensor

from w2s.core import files
from w2s.models.batches import pad_batch
from w2s.models.hardware import device
from w2s.models.heads import ScalarHead
from w2s.settings.binary import Binary, probability

Pair = tuple[list[int], list[int]]


class Preference(Binary):
    """An encoded example is the token ids of both texts."""

    INPUTS = files.PAIRS

    def encode(self, inputs: pa.Table) -> list[Pair]:
        first = self.encode_texts(inputs["first"].to_pylist())
        second = self.encode_texts(inputs["second"].to_pylist())
        return list(zip(first, second, strict=True))

    def length(self, item: Pair) -> int:
        return 2 * max(map(len, item))

    def outputs(self, model: ScalarHead, items: Sequence[Pair]) -> Tensor:
        """Logits z = r(first) − r(second) [batch], so that P(first is better) = σ(z) (Bradley & Terry, 1952)."""
        return self._difference(model, items)

    def feature_batch(self, model: ScalarHead, items: Sequence[Pair]) -> np.ndarray:
        """The difference of a pair's features: that decides, since the head is linear."""
        return self._difference(model.features, items).float().numpy(force=True)

    def _difference(self, read: Callable[[Tensor, Tensor], Tensor], items: Sequence[Pair]) -> Tensor:
        """What `read` gives for each pair's first text, less what it gives for the second.

        One forward pass reads all texts, in an order that does not depend on which one of a pair comes first, so that
        swapping a pair flips the sign of its z and changes no other bit.
        """
        texts = sorted({tuple(text) for pair in items for text in pair})
        place = {text: index for index, text in enumerate(texts)}
        values = read(*pad_batch(texts, self.pad, device()))
        first = [place[tuple(one)] for one, _ in items]
        second = [place[tuple(other)] for _, other in items]
        return values[first] - values[second]

    def format_shots(self, inputs: pa.Table, labels: np.ndarray) -> list[str]:
        """The better text goes on with the true word, the worse one with the false word."""
        pairs = zip(inputs["first"].to_pylist(), inputs["second"].to_pylist(), labels > 0.5, strict=True)
        return [
            f"{first} {self.answer_word(better)}\n\n{second} {self.answer_word(not better)}"
            for first, second, better in pairs
        ]

    def zero_shot(self, inputs: pa.Table, lead: str = "") -> np.ndarray:
        texts = [lead + text for column in ("first", "second") for text in inputs[column].to_pylist()]
        first, second = np.split(self.log_odds(texts), 2)
        return probability(first - second)
