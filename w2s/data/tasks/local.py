"""A task from your own Parquet, JSON lines or CSV file under data/local: one entry of params.yaml, no code.

Either a row is a statement, true where `label` holds one of the `positive` values, or it is a question with `choices`,
of which `answer` names the right one. docs/TASKS.md has an example of each.
"""

import os
import random
from collections.abc import Iterator
from pathlib import Path
from string import Formatter
from typing import Any

from w2s.core.errors import UserError
from w2s.core.params import Corpus, NonEmptyList, Split, Word
from w2s.data import sources
from w2s.data.sources import Row
from w2s.data.tasks import Choice, Statement, Stream, meaning, read

FOLDER = Path("data/local")  # a dependency of `prepare`, so that a changed file is prepared again


def examples(
    split: Split,
    corpus: Corpus | None,
    where: str,
    *,
    file: Word,
    text: Word,
    test: Word | None = None,
    label: Word | None = None,
    positive: NonEmptyList[str | int | float | bool] | None = None,
    choices: Word | NonEmptyList[Word] | None = None,
    answer: Word | None = None,
    group: Word | None = None,
    id: Word | None = None,
) -> Stream:
    """`text` is the statement, or the question's prompt, with columns in braces; other options name columns.

    With a `test` file the test part comes from it alone, and the other parts from `file`. Rows with the same `group`
    (if not given: the same text) stay in one part.
    """
    files: dict[bool | None, list[Path]] = {None: [_path(file, f"{where}.file")]}
    if test is not None:
        files = {True: [_path(test, f"{where}.test")], False: files[None]}
    try:
        columns = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
    except ValueError as error:
        raise UserError(f"{where}.text: {error}; a column stands in braces, like {{question}}") from None
    if label and positive and not choices and not answer:
        _expect(positive, label, [path for paths in files.values() for path in paths], where)
    elif label or positive or not choices or not answer:
        raise UserError(f"{where}: give label and positive (rows are statements) or choices and answer (questions)")

    def questions(row: Row) -> Iterator[Choice | Statement]:
        said = text.format(**{name: row[name] for name in columns})
        together = str(_filled(row, group)) if group else said
        key = str(_filled(row, id)) if id else None
        if choices and answer:
            yield Choice(said, *_answers(row, choices, answer), together, key)
        elif label and positive:
            yield Statement(said, _filled(row, label) in positive, together, key)

    return Stream({"train": file, "test": test or file}, read(questions, files, split.seed, where))


def _path(name: str, where: str) -> Path:
    if not Path(os.path.abspath(name)).is_relative_to(FOLDER.absolute()):
        raise UserError(f"{where}: '{name}' must lie under {FOLDER}/, where a change to it is noticed")
    if not Path(name).is_file():
        raise UserError(f"{where}: no file '{name}'")
    return Path(name)


def _expect(positive: list[Any], label: str, paths: list[Path], where: str) -> None:
    """Every value that means yes must occur, so that a slip of the pen does not make statements false."""
    rows = (row for path in paths for row in sources.rows([path], random.Random(0), where))
    found = {repr(row[label]): row[label] for row in rows if row.get(label) is not None}
    if found and (missing := [value for value in positive if value not in found.values()]):
        some = ", ".join(sorted(found)[:10])
        raise UserError(f"{where}.positive: {missing[0]!r} never occurs in column '{label}' (which holds {some})")


def _filled(row: Row, column: str) -> Any:
    """A value that is not empty: in a CSV file, what is not there is an empty text."""
    if row[column] == "":
        raise ValueError(f"column '{column}' is empty")
    return row[column]


def _answers(row: Row, choices: str | list[str], answer: str) -> tuple[str, list[str]]:
    """The right answer and the wrong ones; `answer` holds its text, its position from 0 or its column's name."""
    listed = row[choices] if isinstance(choices, str) else [_filled(row, name) for name in choices]
    texts = [str(choice) for choice in listed]
    named = {} if isinstance(choices, str) else dict(zip(choices, texts, strict=True))
    readings = dict(enumerate(texts)), named, dict(zip(listed, texts, strict=True))
    right = meaning(row, answer, readings[0] | readings[1] | readings[2])
    if len({reading.get(row[answer], right) for reading in readings}) > 1:
        raise ValueError(f"column '{answer}' holds {row[answer]!r}, which is both an answer and the place of another")
    return right, [text for text in texts if text != right]
