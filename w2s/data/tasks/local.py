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
from w2s.data.questions import Choice, Origin, Statement, decode_label
from w2s.data.reading import read_files
from w2s.data.sources import Row, shuffled_rows
from w2s.data.tasks import Stream

# A dependency of stage prepare, so that a changed file is prepared again.
FOLDER = Path("data/local")


def examples(
    split: Split,
    corpus: Corpus | None,
    seed: int,
    param_path: str,
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
    path = _path(file, f"{param_path}.file")
    paths = {Origin.ANY: [path]}
    if test is not None:
        paths = {Origin.TEST: [_path(test, f"{param_path}.test")], Origin.TRAIN: [path]}
    try:
        columns = [name for _, name, _, _ in Formatter().parse(text) if name is not None]
    except ValueError as error:
        raise UserError(f"{param_path}.text: {error}; a column stands in braces, like {{question}}") from None
    if label and positive and not choices and not answer:
        _require_values(positive, label, [path for several in paths.values() for path in several], param_path)
    elif label or positive or not choices or not answer:
        raise UserError(
            f"{param_path}: give label and positive (rows are statements) or choices and answer (questions)"
        )

    def questions(row: Row) -> Iterator[Choice | Statement]:
        prompt = text.format(**{name: row[name] for name in columns})
        row_group = str(_filled(row, group)) if group else prompt
        row_id = str(_filled(row, id)) if id else None
        if choices and answer:
            right, wrong = _right_and_wrong(row, choices, answer)
            yield Choice(prompt, right, wrong, row_group, row_id)
        elif label and positive:
            yield Statement(prompt, _filled(row, label) in positive, row_group, row_id)

    source = {"train": file, "test": test or file}
    return Stream(source, read_files(questions, paths, seed, param_path))


def _path(name: str, param_path: str) -> Path:
    if not Path(os.path.abspath(name)).is_relative_to(FOLDER.absolute()):
        raise UserError(f"{param_path}: '{name}' must lie under {FOLDER}/, where a change to it is noticed")
    if not Path(name).is_file():
        raise UserError(f"{param_path}: no file '{name}'")
    return Path(name)


def _require_values(positive: list[Any], label: str, paths: list[Path], param_path: str) -> None:
    """Every value that means yes must occur, so that a typo does not make statements false."""
    rows = (row for path in paths for row in shuffled_rows([path], random.Random(0), param_path))
    found = {repr(row[label]): row[label] for row in rows if row.get(label) is not None}
    if found and (missing := [value for value in positive if value not in found.values()]):
        some = ", ".join(sorted(found)[:10])
        raise UserError(f"{param_path}.positive: {missing[0]!r} never occurs in column '{label}' (which holds {some})")


def _filled(row: Row, column: str) -> Any:
    """A value that is not empty: in a CSV file, a missing value is an empty text."""
    if row[column] == "":
        raise ValueError(f"column '{column}' is empty")
    return row[column]


def _right_and_wrong(row: Row, choices: str | list[str], answer: str) -> tuple[str, list[str]]:
    """The right answer and the wrong ones; `answer` holds its text, its position from 0 or its column's name."""
    listed = row[choices] if isinstance(choices, str) else [_filled(row, name) for name in choices]
    texts = [str(choice) for choice in listed]
    by_column = {} if isinstance(choices, str) else dict(zip(choices, texts, strict=True))
    by_position = dict(enumerate(texts))
    by_text = dict(zip(listed, texts, strict=True))
    readings = (by_position, by_column, by_text)
    right = decode_label(row, answer, by_position | by_column | by_text)
    if len({reading.get(row[answer], right) for reading in readings}) > 1:
        raise ValueError(f"column '{answer}' holds {row[answer]!r}, which is both an answer and the place of another")
    return right, [text for text in texts if text != right]
