"""Examples of a task that are looked at before it is run."""

import itertools
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from w2s.core import files
from w2s.core.params import Params
from w2s.core.validation import options_of
from w2s.data import tasks
from w2s.data.questions import Example

COUNT = 2048


@dataclass(frozen=True)
class Sample:
    """Some of a task's inputs, and labels [examples] to learn from: p, or an answer in words."""

    inputs: pa.Table
    labels: np.ndarray

    @property
    def shown(self) -> list[list[str]]:
        """All that a model is shown, by column."""
        return [self.inputs[name].to_pylist() for name in self.inputs.column_names if name not in ("id", "group")]

    @property
    def texts(self) -> list[str]:
        return [text for column in self.shown for text in column]


def prepared(task: str) -> Sample | None:
    """Of a prepared task, what a supervisor learns from; nothing of one that is not."""
    path, truth = files.inputs(task, "supervisor"), files.truth(task, "supervisor")
    if not (path.exists() and truth.exists()):
        return None
    inputs = pq.read_table(path)
    labels = files.aligned(files.read_labels(truth), inputs["id"], truth)
    places = np.arange(0, len(inputs), -(-len(inputs) // COUNT))
    return Sample(inputs.take(places), labels[places])


def drawn(name: str, params: Params) -> tuple[float, Sample]:
    """Seconds to draw a task's examples and unlabelled texts, and some examples, by drawing the first few."""
    task, where = params.tasks[name], f"params.yaml: tasks.{name}"
    family, split = tasks.family(task.family, f"{where}.family"), params.split
    corpus = params.corpora[task.corpus] if task.corpus else None
    stream = family.examples(split, corpus, where, **options_of(family.examples, task, where))
    seconds, examples = _first(stream, sum(getattr(split, part) for part in files.PARTS))
    return seconds + _first(stream.unlabelled or (), 2 * split.student)[0], sampled(examples)


def sampled(examples: list[Example]) -> Sample:
    """These examples, as the stages would read them."""
    columns = {name: [example.inputs[name] for example in examples] for name in examples[0].inputs}
    ids, groups = [example.id for example in examples], [example.group for example in examples]
    inputs = pa.table({"id": ids, **columns, "group": groups}, schema=files.strings("id", *columns, "group"))
    answers = [example.answer for example in examples]
    return Sample(inputs, np.array(answers, object if isinstance(answers[0], str) else float))


def _first(stream: Iterable[Any], wanted: int) -> tuple[float, list[Any]]:
    """The first items of a stream, and seconds to draw `wanted` of them."""
    start, items = time.perf_counter(), iter(stream)
    found = list(itertools.islice(items, 1))  # before it comes what is done once
    once = time.perf_counter()
    found += itertools.islice(items, COUNT)
    return once - start + (time.perf_counter() - once) / max(1, len(found) - 1) * wanted, found
