"""One file a task family, found by its name.

A family is a module here with

- `examples(split, corpus, where, **options) -> Stream`: distinct examples, endless or finite, drawn by `split.seed`;
  `where` names the task in params.yaml for errors, and the keyword-only parameters are the task's options there.

A data set of the Hugging Face hub is one function, which turns a row into questions, and one line: `examples =
hub(questions)`. A question is a `Statement`, a `Choice`, a `Pair` or a `Puzzle`.
"""

import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from w2s.core.errors import UserError
from w2s.core.hub import snapshot
from w2s.core.params import Corpus, NonEmptyList, Split, Word
from w2s.core.registry import chosen
from w2s.data import sources
from w2s.data.sources import Row

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Example:
    """What a model is shown, by column, and the true answer: yes or no (a bool), or a text.

    A pair has the columns `first` and `second`, true where the first is better; all else has `text`. Examples with the
    same `group` share a source and stay in one part. `held_out` examples come from a public test (or validation) split
    and may only be tested on; those of a train split (False) never are; None may go anywhere.
    """

    id: str
    inputs: dict[str, str]
    group: str
    answer: bool | str
    held_out: bool | None = None


@dataclass(frozen=True)
class Stream:
    """A task's examples, held-out ones first, and where they come from, as prepare writes it down.

    `texts`, where a task has some, are unlabelled and of its domain: a model may be finetuned on them generatively
    before it sees any label (paper, section 5.2.2). Without, the texts of the student's own inputs serve.
    """

    source: dict[str, Any]
    examples: Iterable[Example]
    texts: Iterable[str] | None = None

    def __iter__(self) -> Iterator[Example]:
        return iter(self.examples)


@dataclass(frozen=True, slots=True)
class Item:
    """What a question becomes: an example that no part holds yet."""

    inputs: dict[str, str]
    answer: bool | str
    group: str
    id: str | None = None  # if not given: made from the inputs


@dataclass(frozen=True, slots=True)
class Statement:
    """A text that ends with a yes/no question, whether the answer is yes, and what it shares with others."""

    text: str
    true: bool
    group: str
    id: str | None = None

    def drawn(self, rng: random.Random) -> list[Item]:
        return [Item({"text": self.text}, self.true, self.group, self.id)]


@dataclass(frozen=True, slots=True)
class Puzzle:
    """A text that the right answer continues."""

    text: str
    answer: str
    group: str
    id: str | None = None

    def drawn(self, rng: random.Random) -> list[Item]:
        return [Item({"text": self.text}, self.answer, self.group, self.id)]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts of which one is better."""

    better: str
    worse: str
    group: str
    id: str | None = None

    def drawn(self, rng: random.Random) -> list[Item]:
        """In an order that says nothing about which is better; nothing where there is nothing to tell apart."""
        better_first = rng.random() < 0.5
        first, second = (self.better, self.worse) if better_first else (self.worse, self.better)
        alike = first.strip() == second.strip()
        return [] if alike else [Item({"first": first, "second": second}, better_first, self.group, self.id)]


@dataclass(frozen=True, slots=True)
class Choice:
    """A question with one right and several wrong answers; it becomes one statement (paper, appendix A.1)."""

    prompt: str
    right: str
    wrong: Sequence[str]
    group: str
    id: str | None = None

    def statements(self) -> list[Statement]:
        """What can be said about this question: first its right answer, then each wrong one."""
        wrong = [answer for answer in self.wrong if answer.strip() != self.right.strip()]
        texts = [asked(self.prompt, answer) for answer in (self.right, *wrong)]
        return [Statement(text, index == 0, self.group, self.id) for index, text in enumerate(texts)]

    def drawn(self, rng: random.Random) -> list[Item]:
        """The right answer or a random wrong one, with equal chance; nothing where no answer is wrong."""
        right, *wrong = self.statements()
        pick = right if rng.random() < 0.5 else None
        return (pick or wrong[int(rng.random() * len(wrong))]).drawn(rng) if wrong else []


Questions = Callable[[Row], Iterable[Choice | Pair | Puzzle | Statement]]
Merge = Callable[[Sequence[str]], Mapping[str, str]]


def asked(prompt: str, answer: str) -> str:
    """A question about one answer; right and wrong ones are rendered alike."""
    return f"{prompt.strip()}\nAnswer: {answer.strip()}\nIs this answer right?"


def meaning(row: Row, column: str, coding: Mapping[Any, T]) -> T:
    """What a row's label stands for; a value that its coding does not have is an error, never a guess."""
    value = row[column]
    if value not in coding:
        raise ValueError(f"column '{column}' holds {value!r}, expected one of {', '.join(map(repr, coding))}")
    return coding[value]


def labelled(row: Row, column: str, answers: Mapping[Any, str]) -> tuple[str, list[str]]:
    """A question's right answer, which the row's label names, and the wrong ones."""
    right = meaning(row, column, answers)
    return right, [answer for label, answer in answers.items() if label != row[column]]


def hub(questions: Questions, merge: Merge | None = None) -> Callable[..., Stream]:
    """`examples` of a data set on the Hugging Face hub, given the questions that one of its rows holds.

    Where a row alone does not tell its group, `merge` maps each of all groups to the one it is part of.
    """

    def examples(
        split: Split,
        corpus: Corpus | None,
        where: str,
        *,
        repository: Word,
        revision: Word,
        train: Word | NonEmptyList[Word],
        test: Word | NonEmptyList[Word],
    ) -> Stream:
        """Train and test files are glob patterns; what comes from the test files is only ever tested on."""
        return hub_stream(questions, split, where, repository, revision, {True: test, False: train}, merge)

    return examples


def hub_stream(
    questions: Questions,
    split: Split,
    where: str,
    repository: str,
    revision: str,
    patterns: Mapping[bool | None, str | Sequence[str]],
    merge: Merge | None = None,
) -> Stream:
    """A task from those files of a hub data set that match each kind's patterns (kinds as in `read`)."""
    globs = {kind: [given] if isinstance(given, str) else list(given) for kind, given in patterns.items()}
    folder = snapshot("dataset", repository, revision, [glob for several in globs.values() for glob in several], where)
    files = {kind: sorted({path for glob in several for path in folder.glob(glob)}) for kind, several in globs.items()}
    names = {kind: [path.relative_to(folder).as_posix() for path in paths] for kind, paths in files.items()}
    source: dict[str, Any] = {"repository": repository, "commit": folder.name}
    source |= {part: names.get(kind) or names[None] for part, kind in (("train", False), ("test", True))}
    return Stream(source, read(questions, files, split.seed, where, merge))


def read(
    questions: Questions,
    files: Mapping[bool | None, Sequence[Path]],
    seed: int,
    where: str,
    merge: Merge | None = None,
) -> Iterator[Example]:
    """Distinct examples from the files of each kind (held out: True, of a train split: False, either: None).

    Rows and answers are drawn by `seed`, with a random stream that is the same on every platform and version.
    """
    drawn: Iterable[tuple[Item, bool | None]] = _drawn(questions, files, seed, where)
    whole: Mapping[str, str] = {}
    if merge:
        drawn = list(drawn)
        whole = merge([item.group for item, _ in drawn])
    seen: set[str] = set()
    for item, held_out in drawn:
        key = item.id or digest("\n".join(sorted(item.inputs.values())))  # a pair in either order is one example
        if key not in seen:
            group = whole.get(item.group, item.group)
            yield Example(key, item.inputs, digest(" ".join(group.casefold().split())), item.answer, held_out)
        elif item.id:
            raise UserError(f"{where}: the id '{key}' occurs twice")
        seen.add(key)


def _drawn(
    questions: Questions, files: Mapping[bool | None, Sequence[Path]], seed: int, where: str
) -> Iterator[tuple[Item, bool | None]]:
    for held_out, paths in files.items():
        rng = random.Random(f"tasks/{held_out}/{seed}")
        for row in sources.rows(paths, rng, where):
            try:
                items = [item for question in questions(row) for item in question.drawn(rng)]
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                fault = str(error) if isinstance(error, ValueError) else f"a row is not as expected ({error!r})"
                raise UserError(f"{where}: {'/'.join(paths[0].parts[-3:])}: {fault}") from None
            yield from ((item, held_out) for item in items)


def digest(text: str) -> str:
    """A short name for a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def family(name: str, where: str) -> ModuleType:
    """The module of a task family; `where` names the parameter that asked for it."""
    return chosen("w2s.data.tasks", name, where)
