"""Made-up content for the fixtures of data sets: what `choices.py` and `statements.py` are written with."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

Row = dict[str, Any]

NOUNS = """river lantern bakery engine teacher orchard violin harbour kettle glacier pigeon ladder market needle comet
    saddle archive mirror tunnel basket"""
VERBS = "carried painted followed repaired watched borrowed measured opened counted dropped sketched folded"
ADJECTIVES = "quiet amber narrow early broken gentle crowded distant heavy polished curious shallow"
PLACES = "near the bridge|at noon|in the old town|behind the mill|before the storm|by the window|after supper"


class Writer:
    """Writes words, phrases and sentences that mean little and look like text."""

    def __init__(self, seed: str) -> None:
        self.rng, self.seed = random.Random(seed), seed

    def word(self) -> str:
        return self.pick(NOUNS.split())

    def phrase(self) -> str:
        """Two to four words, no capital, no full stop."""
        return " ".join([*self.rng.sample(ADJECTIVES.split(), self.rng.randint(1, 3)), self.word()])

    def clause(self) -> str:
        verb, place = self.pick(VERBS.split()), self.pick(PLACES.split("|"))
        return f"the {self.phrase()} {verb} a {self.phrase()} {place}"

    def sentence(self) -> str:
        return f"{self.clause().capitalize()}."

    def text(self, sentences: int = 3) -> str:
        return " ".join(self.sentence() for _ in range(sentences))

    def several(self, kind: Callable[[], str], count: int) -> list[str]:
        """Distinct texts of one kind."""
        found: dict[str, None] = {}
        while len(found) < count:
            found[kind()] = None
        return list(found)

    def shared(self, index: int, among: int, kind: str = "text") -> str:
        """The text that row `index` has in common with the `among - 1` rows beside it, by the same method name."""
        return getattr(Writer(f"{self.seed}/{kind}/{index // among}"), kind)()

    def pick(self, items: Iterable[Any]) -> Any:
        return self.rng.choice(list(items))


@dataclass(frozen=True)
class Fixture:
    """A data set's schema and made-up rows of it."""

    schema: pa.Schema
    row: Callable[[Writer, int], Row]
    swaps: Callable[[Row], list[Row]]

    def rows(self, split: str, count: int) -> list[Row]:
        """Rows of the `train` or `test` side."""
        writer = Writer(split)
        return [self.row(writer, index) for index in range(count)]


def columns(**types: Any) -> pa.Schema:
    """A schema; a type may be an Arrow type or its name."""
    return pa.schema(
        [(name, pa.type_for_alias(kind) if isinstance(kind, str) else kind) for name, kind in types.items()]
    )


def exchanged(*names: str) -> Callable[[Row], list[Row]]:
    """Swaps for sets that have the right answer in a column of its own (the first) and wrong ones in others."""
    right, *wrong = names
    return lambda row: [row | {right: row[name], name: row[right]} for name in wrong]


def relabelled(name: str, labels: Iterable[Any]) -> Callable[[Row], list[Row]]:
    """Swaps for sets with a label column: each other label."""
    return lambda row: [row | {name: label} for label in labels if label != row[name]]
