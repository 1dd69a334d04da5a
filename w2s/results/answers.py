"""What every model answers to every test example, small enough to be committed: answers.parquet.

One row a model and seed. A row's `answers` has a byte an example, in the order of their ids: whether P(true) > 0.5 or,
of an answer in words, four bits of its digest, by which 15 of 16 other answers differ.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from w2s.core import files
from w2s.core.errors import UserError
from w2s.results import metrics
from w2s.results.collect import TaskPredictions
from w2s.results.metrics import Answers

FILE = "answers.parquet"
BITS = 4  # of the digest of an answer in words


class Cell(NamedTuple):
    """A model in its role under one seed; of the names, those that the role has."""

    task: str
    role: str
    weak: str
    strong: str
    method: str
    seed: str


class Answered(NamedTuple):
    """How a model did on the test examples."""

    examples: str  # digest of their ids and truth
    accuracy: float
    answers: bytes

    def different(self, other: "Answered") -> int:
        """How many answers differ: all of them where the examples do."""
        if self.examples != other.examples or len(self.answers) != len(other.answers):
            return len(self.answers)
        return int((np.frombuffer(self.answers, np.uint8) != np.frombuffer(other.answers, np.uint8)).sum())


SCHEMA = pa.schema(
    [
        *files.strings(*Cell._fields, "examples"),
        pa.field("accuracy", pa.float64()),
        pa.field("answers", pa.binary()),
    ]
)
Row = dict[str, Any]


def rows(predictions: TaskPredictions) -> Iterator[Row]:
    """The rows of one task."""
    grid = predictions.grid
    codes = np.array([_code(word) for word in predictions.words], np.uint8)

    def packed(answers: Answers) -> bytes:
        coded = metrics.hard(answers) if metrics.are_probabilities(answers) else codes[answers]
        return coded.astype(np.uint8).tobytes()

    examples = []
    for ids, truth in zip(predictions.ids, predictions.truth, strict=True):
        content = "\n".join(ids.to_pylist()).encode() + packed(truth)
        examples.append(hashlib.sha256(content).hexdigest()[:16])
    for key, model in predictions.models.items():
        for seed, digest, truth, answers in zip(grid.seeds, examples, predictions.truth, model.answers, strict=True):
            yield {
                **Cell(grid.task, *key, str(seed))._asdict(),
                "examples": digest,
                "accuracy": float(metrics.accuracy(answers, truth)),
                "answers": packed(answers),
            }


def _code(word: str) -> int:
    return hashlib.sha256(word.encode()).digest()[0] >> 8 - BITS


def write(rows: Iterable[Row], folder: Path) -> None:
    """Write the rows of all tasks."""
    with files.atomic(folder / FILE) as temporary:
        table = pa.Table.from_pylist(list(rows), SCHEMA)
        # A code that few models give takes more of a byte, one that many give less.
        pq.write_table(table, temporary, compression="zstd", use_dictionary=SCHEMA.names[:-2])


def parse(content: bytes, name: str) -> dict[Cell, Answered]:
    """What a file of this name holds. Raises `UserError`."""
    try:
        table = pq.read_table(pa.BufferReader(content))
    except pa.ArrowException:
        table = None
    if table is None or not table.schema.equals(SCHEMA):
        raise UserError(f"{name}: not a whole table of `evaluate`")
    return {
        Cell(*(row[column] for column in Cell._fields)): Answered(*(row[column] for column in Answered._fields))
        for row in table.to_pylist()
    }
