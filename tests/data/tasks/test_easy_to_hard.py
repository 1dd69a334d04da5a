"""Easy reviews are learned, hard ones tested, and either are those that the task itself would ask."""

import itertools
from typing import Any

import pytest

from tests.data.tasks.test_reviews import SPLIT, Interpreter, corpus, drawn
from w2s.core.checks import load
from w2s.core.errors import UserError
from w2s.core.params import Task
from w2s.core.validation import options_of
from w2s.data import tasks
from w2s.data.corpora.reviews import READER_CUE, lexicon
from w2s.data.questions import Example
from w2s.data.split import divide
from w2s.data.tasks import Stream

ENTRY = load().tasks["easy-to-hard"]
PARTS = SPLIT.model_copy(update={"supervisor": 60, "student": 80, "validation": 20, "test": 100})


def stream(**changes: Any) -> Stream:
    family = tasks.family(ENTRY.family, "here")
    entry = Task(**ENTRY.model_dump() | changes)
    made: Stream = family.examples(PARTS, corpus(), 0, "here", **options_of(family.examples, entry, "here"))
    return made


def bodies(examples: list[Example]) -> list[str]:
    return [example.inputs["text"].removesuffix(READER_CUE) for example in examples]


def test_parts_hold_what_they_should() -> None:
    """Of easy reviews, hasty readers never misread one; of hard ones, they misread about half."""
    reader = Interpreter(*lexicon(0))
    parts = divide(stream(), PARTS, "here")
    assert {part: len(examples) for part, examples in parts.items()} == {
        part: getattr(PARTS, part) for part in ("supervisor", "student", "validation", "test")
    }
    for part, examples in parts.items():
        authors = [reader.happy(body) for body in bodies(examples)]
        assert authors == [example.answer for example in examples]
        misread = sum(reader.hasty(body) != happy for body, happy in zip(bodies(examples), authors, strict=True))
        assert (misread == 0) if part != "test" else (30 < misread < 70)


def test_its_examples_are_those_of_the_task_itself() -> None:
    found = list(itertools.islice(stream(), 40))
    for which, kinds in ((0, ENTRY.options["tested"]["kinds"]), (1, ENTRY.options["learned"]["kinds"])):
        own = drawn(20, corpus(), kinds=kinds)
        assert [(example.id, example.answer) for example in found[which::2]] == [
            (example.id, example.answer) for example in own
        ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"of": "boolq"}, "here: of: must be 'lichess' or 'reviews' (found 'boolq')"),
        (
            {"learned": {"kind": ["plain"]}},
            "here.learned: kind: unknown name 'kind' (known: kinds); did you mean 'kinds'?",
        ),
        ({"tested": {}}, "here.tested: kinds is missing"),
        ({"shared": {"kinds": ["plain"]}, "tested": {"pieces": 1}}, "here.tested: pieces: unknown name 'pieces'"),
    ],
)
def test_what_it_refuses(changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError) as error:
        stream(**changes)
    assert str(error.value).startswith(expected)
