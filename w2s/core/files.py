"""The files that pass between stages, where they lie, and how they are read, checked and written.

Everything is Parquet with one row an example and meets by `id`, never by row order. A file is written under a
temporary name and renamed when whole, so that no later stage can read half of one.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from w2s.core import ranks
from w2s.core.errors import UserError, lacking

T = TypeVar("T")

CODE = Path("code")
_written: set[Path] = set()  # what `atomic` put into place, in this process
PARTS = ("supervisor", "student", "validation", "test")


def strings(*columns: str) -> pa.Schema:
    """A schema of texts."""
    return pa.schema([(name, pa.string()) for name in columns])


TEXTS = strings("id", "text", "group")
PAIRS = strings("id", "first", "second", "group")
LABELS = pa.schema([("id", pa.string()), ("p", pa.float64())])
ANSWERS = strings("id", "answer")
# In front of labels: predictions at several points of training.
STEP = pa.field("step", pa.int32())


def run(role: str, *cell: object) -> Path:
    """The folder of a model's predictions, features, run.json and curves.

    `cell` is what the role is repeated over, in the order of its stage's arguments: task, model(s), method, seed.
    """
    return Path("runs", role, *map(str, cell))


def model(role: str, *cell: object) -> Path:
    """The folder of a model's weights; empty where they are not kept. Arguments as in `run`."""
    return Path("models", role, *map(str, cell))


@contextmanager
def outputs(role: str, *place: object) -> Iterator[tuple[Path, Path]]:
    """Temporary folders for a run and for its weights, which take their names when the block succeeds, else vanish."""
    with atomic(run(role, *place)) as out, atomic(model(role, *place)) as weights:
        weights.mkdir()
        yield out, weights


def bases(seed: int) -> Path:
    """The folder of a replicate's base models, one folder each."""
    return Path("models/base", str(seed))


def inputs(task: str, seed: int, part: str) -> Path:
    """The inputs of one part of a task (supervisor, student, validation, test); in their folder is no truth."""
    return inputs_folder(task, seed) / f"{part}.parquet"


def inputs_folder(task: str, seed: int) -> Path:
    """All that a task shows to models."""
    return _task(task, seed) / "inputs"


def truth(task: str, seed: int, part: str) -> Path:
    """Their truth, in a file of its own."""
    return _task(task, seed) / "truth" / f"{part}.parquet"


def texts(task: str, seed: int) -> Path:
    """Unlabelled texts of a task's domain."""
    return inputs_folder(task, seed) / "texts.parquet"


def task_entry(task: str, seed: int) -> Path:
    """The task's entry of params.yaml, on which whoever reads its inputs depends, too."""
    return inputs_folder(task, seed) / "entry.json"


def source(task: str, seed: int) -> Path:
    """Where a task's examples come from (repository, commit, files), and how many each part got."""
    return _task(task, seed) / "source.json"


def _task(task: str, seed: int) -> Path:
    return Path("data/tasks", task, str(seed))


def code(*names: str) -> list[Path]:
    """What stage `code` wrote of a stage, or of an entry of params.yaml."""
    return [CODE / f"{name}.json" for name in names]


def method(setting: str, method: str, seed: int) -> Path:
    """The folder of what one method's students depend on, beside what all do."""
    return Path("models/method", setting, method, str(seed))


def weak_labels(task: str, weak: str, seed: int) -> Path:
    """The folder of one supervisor's labels: student.parquet, validation.parquet, test.parquet."""
    return Path("data/weak_labels", task, weak, str(seed))


def read(path: Path, schema: pa.Schema) -> pa.Table:
    """A table with exactly these columns and types, whose (step and) id never repeats and which has no null."""
    table, columns, count = _opened(path, _with_its_shape)
    if not table.schema.equals(schema):
        raise UserError(f"{path}: columns are ({columns}), expected ({_columns(schema)})")
    if table.num_rows != count:
        raise UserError(f"{path}: has {table.num_rows} of {count} rows; delete it and `dvc repro` again")
    if any(column.null_count for column in table.columns):
        raise UserError(f"{path}: has empty values")
    keys = [name for name in ("step", "id") if name in table.column_names]
    if table.group_by(keys).aggregate([]).num_rows < table.num_rows:
        raise UserError(f"{path}: an id occurs twice")
    return table


def _with_its_shape(path: Path) -> tuple[pa.Table, str, int]:
    """A table, its columns in words, and its rows by the file's footer, which unlike the pages has no checksum."""
    table = pq.read_table(path, partitioning=None, page_checksum_verification=True)
    return table, _columns(table.schema), pq.read_metadata(path).num_rows


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema)


def _opened(path: Path, reader: Callable[[Path], T]) -> T:
    try:
        return reader(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file (`dvc repro` makes it)") from None
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        if lacking(error):
            raise
        raise UserError(f"{path}: not a whole Parquet file; delete it and `dvc repro` again ({error})") from None


def read_groups(path: Path, ids: pa.ChunkedArray) -> list[str]:
    """The group of each of these examples, from the inputs they are among."""
    inputs = _opened(path, partial(pq.read_table, columns=["id", "group"], page_checksum_verification=True))
    found = pc.index_in(ids, value_set=inputs["id"])
    if found.null_count:
        raise UserError(f"{path}: lacks {found.null_count} of the test examples")
    return inputs["group"].take(found).to_pylist()


def read_labels(path: Path) -> pa.Table:
    """Labels, predictions or truth: id and p = P(true) in [0, 1], or id and an answer in words."""
    return _labels(path, [])


def read_predictions(path: Path) -> pa.Table:
    """Predictions on test inputs: step of training, id, and p or answer; the largest step is the final one."""
    return _labels(path, [STEP])


def _labels(path: Path, first_columns: list[pa.Field]) -> pa.Table:
    in_words = path.exists() and "answer" in _opened(path, pq.read_schema).names
    table = read(path, pa.schema([*first_columns, *(ANSWERS if in_words else LABELS)]))
    if not in_words:
        p = table["p"].to_numpy()
        # False for NaN too.
        if not ((p >= 0) & (p <= 1)).all():
            raise UserError(f"{path}: column p has a value that is not a probability in [0, 1]")
    return table


def answer_column(labels: pa.Schema | pa.Table) -> str:
    """The column of labels or predictions that holds the answer, p or answer: the last one."""
    names: list[str] = labels.schema.names if isinstance(labels, pa.Table) else labels.names
    return names[-1]


def aligned(labels: pa.Table, ids: pa.ChunkedArray, path: Path) -> np.ndarray:
    """The labels [examples], p or answer, in the order of `ids`; both must name exactly the same examples."""
    rows = pc.index_in(ids, value_set=labels["id"])
    missing = rows.null_count
    if missing or len(labels) != len(ids):
        extra = len(labels) - (len(ids) - missing)
        raise UserError(f"{path}: ids do not match the inputs ({missing} missing, {extra} unknown)")
    return labels[answer_column(labels)].take(rows).to_numpy()


def write(path: Path, schema: pa.Schema, columns: dict[str, Any]) -> None:
    """Write columns as Parquet, whole or not at all."""
    with atomic(path) as temporary:
        pq.write_table(pa.table(columns, schema=schema), temporary, write_page_checksum=True)


def write_predictions(
    folder: Path, labels: pa.Schema, ids: pa.ChunkedArray, snapshots: Sequence[tuple[int, np.ndarray]]
) -> None:
    """Write predictions.parquet: the answers [N] to the inputs `ids` [N] at each step of training."""
    columns = {
        "step": np.repeat([step for step, _ in snapshots], len(ids)).astype(np.int32),
        "id": ids.to_pylist() * len(snapshots),
        answer_column(labels): np.concatenate([answers for _, answers in snapshots]),
    }
    write(folder / "predictions.parquet", pa.schema([STEP, *labels]), columns)


def read_json(path: Path) -> Any:
    """What a stage wrote as JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file (`dvc repro` makes it)") from None
    except (OSError, ValueError) as error:
        if lacking(error):
            raise
        raise UserError(f"{path}: not whole JSON; delete it and `dvc repro` again ({error})") from None


def write_json(path: Path, content: Any) -> None:
    """Write readable JSON, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def withdraw() -> None:
    """Remove all that `atomic` put into place in this process."""
    for path in _written:
        _remove(path)


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` (file or folder) that takes its name when the block succeeds, else vanishes.

    Of several processes of a stage the first one alone leaves what it writes; the others have it while they run.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = f".tmp{ranks.RANK or ''}"
    temporary = path.with_name(f".{path.name}{suffix}")
    _remove(temporary)
    try:
        yield temporary
        if ranks.RANK and not any(part.endswith(suffix) for part in path.parent.parts):
            return
        if temporary.is_dir():
            _remove(path)
        os.replace(temporary, path)
        _written.add(path)
    finally:
        _remove(temporary)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
