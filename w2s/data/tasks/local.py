"""A task from your own Parquet, JSON lines or CSV file under data/local: one entry of params.yaml, no code.

Either a row is a statement, true where `label` holds one of the `positive` values, or it is a question with `choices`,
of which `answer` names the right one. docs/TASKS.md has an example of each. Nothing is guessed of what values mean:
one that the entry does not explain is refused by name.
"""

import os
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import Literal

from w2s.core.errors import UserError
from w2s.core.params import Corpus, NonEmptyList, Split, Word
from w2s.data.questions import Choice, Origin, Statement
from w2s.data.reading import read_files
from w2s.data.sources import Row, in_words, shuffled_rows
from w2s.data.tasks import Stream

# A dependency of stage prepare, so that a changed file is prepared again.
FOLDER = Path("data/local")
LISTED = 10  # values that an error lists

Value = str | int | float | bool
Reading = Literal["text", "column", "position from 0", "position from 1"]


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
    positive: NonEmptyList[Value] | None = None,
    negative: NonEmptyList[Value] | None = None,
    choices: Word | NonEmptyList[Word] | None = None,
    answer: Word | None = None,
    answer_is: Reading | None = None,
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
    template = _template(text, f"{param_path}.text")
    every = [path for several in paths.values() for path in several]
    truth: Mapping[str, bool] = {}
    readings: Sequence[Reading] = [answer_is] if answer_is else ["text", "column", "position from 0"]
    if label and positive and not choices and not answer:
        truth = _meanings(label, positive, negative, _values(label, every, param_path), param_path)
    elif choices and answer and not label and not positive and not negative:
        if not answer_is and "0" not in _values(answer, every, param_path):
            readings = ["text", "column"]
    else:
        raise UserError(
            f"{param_path}: give label and positive (rows are statements) or choices and answer (questions)"
        )

    def questions(row: Row) -> Iterator[Choice | Statement]:
        prompt = "".join(literal + (row.text(column) if column else "") for literal, column in template).strip()
        row_group = row.text(group) if group else prompt
        row_id = row.text(id) if id else None
        if choices and answer:
            right, wrong = _right_and_wrong(row, choices, answer, readings)
            yield Choice(prompt, right, wrong, row_group, row_id)
        elif label:
            yield Statement(prompt, truth[row.text(label)], row_group, row_id)

    return read_files({"train": file, "test": test or file}, questions, paths, seed, param_path)


def _template(text: str, param_path: str) -> list[tuple[str, str | None]]:
    """Pieces of a text, each with the column that follows it. Raises `UserError`."""
    try:
        pieces = list(Formatter().parse(text))
    except ValueError as error:
        raise UserError(f"{param_path}: {error}; a column stands in braces, like {{question}}") from None
    for _, column, spec, conversion in pieces:
        if column == "" or spec or conversion:
            raise UserError(f"{param_path}: a column's name stands alone in braces, like {{question}}")
    return [(literal, column) for literal, column, _, _ in pieces]


def _path(name: str, param_path: str) -> Path:
    place = Path(os.path.abspath(name))
    if not place.is_relative_to(FOLDER.absolute()):
        raise UserError(f"{param_path}: '{name}' must lie under {FOLDER}/, where a change to it is noticed")
    if not Path(name).is_file():
        untracked = ".dvc" in Path.cwd().parts
        hint = ": in an experiment of --temp or --queue is only what git tracks, so `git add` it first" * untracked
        raise UserError(f"{param_path}: no file '{name}'{hint}")
    # DVC looks behind a link to a file, but behind none to a folder.
    for folder in place.parents:
        if FOLDER.absolute() in folder.parents and folder.is_symlink():
            linked = folder.relative_to(Path.cwd())
            raise UserError(
                f"{param_path}: {linked} is a link to a folder, where a change is not noticed; link its files"
            )
    return Path(name)


def _values(column: str, paths: Iterable[Path], param_path: str) -> set[str]:
    """What a column holds in all files; rows in which it is empty are refused when they are read."""
    rows = (row for path in paths for row in shuffled_rows([path], random.Random(0), param_path))
    return {in_words(row[column]) for row in rows if row.get(column) not in (None, "")}


def _meanings(
    label: str, positive: Sequence[Value], negative: Sequence[Value] | None, found: set[str], param_path: str
) -> dict[str, bool]:
    """Whether each value of the label means yes; raises `UserError` for values that the entry does not explain.

    `negative` may be left out where the file holds one other value only, which is no other spelling of a positive one.
    """
    yes = [in_words(value) for value in positive]
    no = [in_words(value) for value in negative or ()]
    for key, values in (("positive", yes), ("negative", no)):
        if found and (missing := [value for value in values if value not in found]):
            raise UserError(
                f"{param_path}.{key}: {missing[0]!r} never occurs in column '{label}' (which holds {_listed(found)})"
            )
    if both := [value for value in yes if value in no]:
        raise UserError(f"{param_path}.negative: {both[0]!r} is positive, too")
    others = found.difference(yes, no)
    if negative is None and len(others) == 1 and _folded(others).isdisjoint(_folded(yes)):
        return dict.fromkeys(yes, True) | dict.fromkeys(others, False)
    if others:
        raise UserError(
            f"{param_path}: column '{label}' holds {_listed(others)}: list in positive what means yes and in negative "
            "what means no"
        )
    return dict.fromkeys(yes, True) | dict.fromkeys(no, False)


def _folded(values: Iterable[str]) -> set[str]:
    return {value.strip().casefold() for value in values}


def _listed(values: Iterable[str]) -> str:
    return ", ".join(sorted(map(repr, values))[:LISTED])


def _right_and_wrong(
    row: Row, choices: str | list[str], answer: str, readings: Sequence[Reading]
) -> tuple[str, list[str]]:
    """The right answer and the wrong ones; `answer` names it in one of these readings, or in several that agree."""
    texts = row.texts(choices) if isinstance(choices, str) else [row.text(name) for name in choices]
    codings: dict[Reading, dict[str, str]] = {
        "text": dict(zip(texts, texts, strict=True)),
        "column": {} if isinstance(choices, str) else dict(zip(choices, texts, strict=True)),
        "position from 0": {str(position): text for position, text in enumerate(texts)},
        "position from 1": {str(position): text for position, text in enumerate(texts, start=1)},
    }
    value = row.text(answer)
    meant = {codings[reading][value] for reading in readings if value in codings[reading]}
    if len(meant) == 1:
        (right,) = meant
        return right, [text for text in texts if text != right]
    fault = f"column '{answer}' holds {value!r}, which is "
    if meant:
        raise ValueError(f"{fault}both an answer and the place of another; say in answer_is what it is")
    if len(readings) == 2 and value in codings["position from 0"] | codings["position from 1"]:
        raise ValueError(f"{fault}a place: say in answer_is whether it is a position from 0 or a position from 1")
    raise ValueError(f"{fault}none of the answers {_listed(texts)} (read as {', '.join(readings)})")
