"""Preference: two texts in, P(the first is better) out, by a reward model (the paper's third setting)."""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from torch import Tensor

from w2s.core import files
from w2s.models.batches import pad_batch
from w2s.models.hardware import device
from w2s.models.heads import ScalarHead
from w2s.settings._binary import Binary, probability

Pair = tuple[list[int], list[int]]


class Setting(Binary):
    """An item is the token ids of both texts."""

    INPUTS = files.PAIRS

    def encode(self, inputs: pa.Table) -> list[Pair]:
        return list(zip(*(self.cut(inputs[column].to_pylist()) for column in ("first", "second")), strict=True))

    def tokens(self, item: Pair) -> int:
        return 2 * max(map(len, item))

    def scores(self, model: ScalarHead, items: Sequence[Pair]) -> Tensor:
        """z = r(first) − r(second) [examples], so that P(first is better) = σ(z) (Bradley & Terry, 1952).

        One forward pass gives the rewards r of all texts. They are put in an order that does not depend on which one of
        a pair comes first, so that swapping a pair flips the sign of its z and changes no other bit.
        """
        return self._difference(model, items)

    def represented(self, model: ScalarHead, items: Sequence[Pair]) -> np.ndarray:
        """Of a pair, the difference: that is what decides, since the head is linear."""
        return self._difference(model.features, items).float().numpy(force=True)

    def _difference(self, read: Callable[[Tensor, Tensor], Tensor], items: Sequence[Pair]) -> Tensor:
        """What is read of each pair's first text, less that of its second."""
        texts = sorted({tuple(text) for pair in items for text in pair})
        place = {text: index for index, text in enumerate(texts)}
        found = read(*pad_batch(texts, self.pad, device()))
        first, second = ([place[tuple(pair[side])] for pair in items] for side in (0, 1))
        return found[first] - found[second]

    def shown(self, inputs: pa.Table, labels: np.ndarray) -> list[str]:
        """The better text goes on with the true word, the worse one with the false word."""
        pairs = zip(inputs["first"].to_pylist(), inputs["second"].to_pylist(), labels > 0.5, strict=True)
        return [f"{one} {self.word(better)}\n\n{two} {self.word(not better)}" for one, two, better in pairs]

    def untaught(self, inputs: pa.Table, lead: str = "") -> np.ndarray:
        texts = [lead + text for column in ("first", "second") for text in inputs[column].to_pylist()]
        first, second = np.split(self.odds(texts), 2)
        return probability(first - second)
