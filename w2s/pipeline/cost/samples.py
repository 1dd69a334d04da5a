"""Examples of a task that are looked at before it is run."""

import itertools
import time
from collections.abc import Iterable, Sequence
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
    """Some of a task's inputs, and labels [N] to learn from: p, or an answer in words."""

    inputs: pa.Table
    labels: np.ndarray

    @property
    def columns(self) -> list[list[str]]:
        """The texts that a model reads, by column."""
        return [self.inputs[name].to_pylist() for name in self.inputs.column_names if name not in ("id", "group")]

    @property
    def texts(self) -> list[str]:
        return [text for column in self.columns for text in column]


def prepared(task: str, seed: int) -> Sample | None:
    """Of a prepared task, what a supervisor learns from; None of one that is not."""
    path = files.inputs(task, seed, "supervisor")
    truth = files.truth(task, seed, "supervisor")
    if not (path.exists() and truth.exists()):
        return None
    inputs = pq.read_table(path)
    labels = files.aligned(files.read_labels(truth), inputs["id"], truth)
    rows = np.arange(0, len(inputs), -(-len(inputs) // COUNT))
    return Sample(inputs.take(rows), labels[rows])


def drawn(name: str, params: Params) -> tuple[float, Sample]:
    """Seconds to draw all of a task's examples and unlabelled texts, by drawing the first few; and these examples."""
    task = params.tasks[name]
    param_path = f"params.yaml: tasks.{name}"
    family = tasks.family(task.family, f"{param_path}.family")
    corpus = params.corpora[task.corpus] if task.corpus else None
    options = options_of(family.examples, task, param_path)
    stream = family.examples(params.split, corpus, params.grid.seeds[0], param_path, **options)
    wanted = sum(getattr(params.split, part) for part in files.PARTS)
    seconds, examples = _first(stream, wanted)
    text_seconds, _ = _first(stream.unlabelled or (), 2 * params.split.student)
    return seconds + text_seconds, sample_of(examples)


def sample_of(examples: Sequence[Example]) -> Sample:
    """These examples, as stages would read them."""
    columns = {name: [example.inputs[name] for example in examples] for name in examples[0].inputs}
    columns["id"] = [str(index) for index in range(len(examples))]
    columns["group"] = [example.group for example in examples]
    answers = [example.answer for example in examples]
    return Sample(pa.table(columns), np.array(answers, object if isinstance(answers[0], str) else float))


def _first(stream: Iterable[Any], wanted: int) -> tuple[float, list[Any]]:
    """Seconds to draw `wanted` items of a stream, and its first items."""
    items = iter(stream)
    start = time.perf_counter()
    # What is done once comes before the first item.
    found = list(itertools.islice(items, 1))
    once = time.perf_counter()
    found += itertools.islice(items, COUNT)
    each = (time.perf_counter() - once) / max(1, len(found) - 1)
    return once - start + each * wanted, found
