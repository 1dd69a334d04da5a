"""Questions, and the examples that they become.

A data set's row holds questions of one of four kinds: a `Statement` is true or false, a `Choice` has one right and
several wrong answers, a `Pair` is two texts of which one is better, a `Puzzle` is continued by its answer.
"""

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from w2s.data.sources import Row

T = TypeVar("T")
# That something, by its digest, is true or false: what a question says beside what its example asks.
Claim = tuple[str, bool]


class Origin(Enum):
    """The public split that an example comes from, which decides the parts of a task that may hold it."""

    TRAIN = "train"  # any part but the test part
    TEST = "test"  # the test part only; also where a public validation split serves as the test
    ANY = "any"  # every part: the data set has one split, or is generated


@dataclass(frozen=True, slots=True)
class Example:
    """The inputs of a model, by column, and the true answer: yes or no (a bool), or a text.

    A pair has the columns `first` and `second` and is true where the first is better; all else has the column `text`.
    Examples with the same `group` share a source and stay in one part. `id` is None until the example is read: then it
    is the data set's own, or the digest of the inputs.
    """

    inputs: dict[str, str]
    answer: bool | str
    group: str
    id: str | None = None
    origin: Origin = Origin.ANY


@dataclass(frozen=True, slots=True)
class Statement:
    """A text that ends in a yes/no question, whether the answer is yes, and the group that it belongs to."""

    text: str
    true: bool
    group: str
    id: str | None = None

    def examples(self, rng: random.Random) -> list[Example]:
        return [Example({"text": self.text}, self.true, self.group, self.id)]

    def claims(self) -> list[Claim]:
        return [(digest(self.text), self.true)]


@dataclass(frozen=True, slots=True)
class Puzzle:
    """A text that the right answer continues."""

    text: str
    answer: str
    group: str
    id: str | None = None

    def examples(self, rng: random.Random) -> list[Example]:
        return [Example({"text": self.text}, self.answer, self.group, self.id)]

    def claims(self) -> list[Claim]:
        """None: a puzzle may have several answers."""
        return []


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts of which one is better."""

    better: str
    worse: str
    group: str
    id: str | None = None

    def examples(self, rng: random.Random) -> list[Example]:
        """The pair in a random order, so that the order does not tell the truth; none where both texts are the same."""
        better_first = rng.random() < 0.5
        first, second = (self.better, self.worse) if better_first else (self.worse, self.better)
        if first.strip() == second.strip():
            return []
        return [Example({"first": first, "second": second}, better_first, self.group, self.id)]

    def claims(self) -> list[Claim]:
        """That the first by alphabet is better."""
        return [(digest("\n".join(sorted([self.better, self.worse]))), self.better < self.worse)]


@dataclass(frozen=True, slots=True)
class Choice:
    """A question with one right and several wrong answers; it becomes one statement (paper, appendix A.1)."""

    prompt: str
    right: str
    wrong: Sequence[str]
    group: str
    id: str | None = None

    def statements(self) -> list[Statement]:
        """The statement of the right answer, then one for each wrong answer that differs from it."""
        wrong = [answer for answer in self.wrong if answer.strip() != self.right.strip()]
        texts = [yes_no_prompt(self.prompt, answer) for answer in (self.right, *wrong)]
        return [Statement(text, index == 0, self.group, self.id) for index, text in enumerate(texts)]

    def examples(self, rng: random.Random) -> list[Example]:
        """The right answer or a random wrong one, with equal chance; none where no answer is wrong."""
        right, *wrong = self.statements()
        choose_right = rng.random() < 0.5
        if not wrong:
            return []
        chosen = right if choose_right else wrong[int(rng.random() * len(wrong))]
        return chosen.examples(rng)

    def claims(self) -> list[Claim]:
        """Those of every answer, whichever the example asks for."""
        return [claim for statement in self.statements() for claim in statement.claims()]


Question = Choice | Pair | Puzzle | Statement


def yes_no_prompt(prompt: str, answer: str) -> str:
    """The text that asks whether an answer is right; right and wrong answers are rendered alike."""
    return f"{prompt.strip()}\nAnswer: {answer.strip()}\nIs this answer right?"


def decode_label(row: Row, column: str, coding: Mapping[Any, T]) -> T:
    """The meaning of a row's label by its coding; raises `ValueError` for a value that the coding does not have."""
    value = row[column]
    if value not in coding:
        raise ValueError(f"column '{column}' holds {value!r}, expected one of {', '.join(map(repr, coding))}")
    return coding[value]


def split_label(row: Row, column: str, answers: Mapping[Any, str]) -> tuple[str, list[str]]:
    """A question's right answer, which the row's label names, and the wrong ones."""
    right = decode_label(row, column, answers)
    wrong = [answer for label, answer in answers.items() if label != row[column]]
    return right, wrong


def digest(text: str) -> str:
    """A text's id: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
