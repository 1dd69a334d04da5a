"""Rows of Parquet, JSON and CSV files, gzipped or not, in a random order that is the same everywhere."""

import gc
import glob
import random
import zlib
from collections.abc import Iterator, Sequence, Sized
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from w2s.core.errors import UserError
from w2s.data.text_files import csv_rows, json_rows

FORMATS = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".csv": "csv"}
TEXT_ROWS = {"csv": csv_rows, "json": json_rows}
ROWS_AT_A_TIME = 1000


class Row(dict[str, Any]):
    """One row by column; to ask for a column that is missing or empty raises `ValueError`.

    Values are texts, but of Parquet files those that the file declares to be something else, and lists of JSON.
    """

    def __getitem__(self, column: str) -> Any:
        value = self.get(column)
        if value is None:
            fault = "empty" if column in self else f"missing: it has {', '.join(self)}"
            raise ValueError(f"column '{column}' is {fault}")
        return value

    def text(self, column: str) -> str:
        """A value in words, which must not be blank."""
        return self._in_words(column, self[column])

    def texts(self, column: str) -> list[str]:
        """The words of a column that holds lists."""
        if not isinstance(self[column], list):
            raise ValueError(f"column '{column}' holds {self[column]!r}, expected a list")
        return [self._in_words(column, item) for item in self[column]]

    def _in_words(self, column: str, value: Any) -> str:
        if value is None or value != value or not str(value).strip():
            raise ValueError(f"column '{column}' is empty")
        if isinstance(value, bytes | list | dict):
            raise ValueError(f"column '{column}' holds {value!r}, expected a text"[:200])
        return in_words(value)


def in_words(value: Any) -> str:
    """A typed value as text: of truth values and numbers the shortest form, so that 34 and 34.0 read alike."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return str(value)


def shuffled_rows(paths: Sequence[Path], rng: random.Random, param_path: str) -> Iterator[Row]:
    """Every row of files of one format, shuffled by `rng`; raises `UserError` for a file that cannot be read."""
    file_format = _format(paths, param_path)
    if file_format == "parquet":
        yield from _parquet_rows(paths, rng, param_path)
        return
    rows: list[Row] = []
    for path in paths:
        try:
            rows += map(Row, TEXT_ROWS[file_format](path))
        except (ValueError, OSError, EOFError, zlib.error) as error:
            raise _unreadable([path], file_format, error, param_path) from None
    _require_rows(rows, paths, param_path)
    for index in _order(len(rows), rng):
        yield rows[index]


def _parquet_rows(paths: Sequence[Path], rng: random.Random, param_path: str) -> Iterator[Row]:
    import datasets  # heavy
    import pyarrow as pa

    datasets.disable_progress_bars()
    with TemporaryDirectory() as cache:
        try:
            files = {"rows": [glob.escape(str(path)) for path in paths]}
            table = datasets.load_dataset("parquet", data_files=files, split="rows", cache_dir=cache)
        except (datasets.exceptions.DatasetsError, pa.ArrowException, OSError, ValueError) as error:
            raise _unreadable(paths, "parquet", error.__cause__ or error, param_path) from None
        # Frees Arrow's scanner, which would now and then abort the interpreter at its end (apache/arrow#45214).
        gc.collect()
        _require_rows(table, paths, param_path)
        order = _order(len(table), rng)
        for start in range(0, len(table), ROWS_AT_A_TIME):
            columns = table[order[start : start + ROWS_AT_A_TIME]]
            yield from (Row(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))


def _order(count: int, rng: random.Random) -> list[int]:
    """Not Dataset.shuffle, whose order follows NumPy's version."""
    return sorted(range(count), key=lambda _: rng.random())


def _require_rows(rows: Sized, paths: Sequence[Path], param_path: str) -> None:
    if not len(rows):
        raise UserError(f"{param_path}: {', '.join(path.name for path in paths)}: no rows")


def _unreadable(paths: Sequence[Path], file_format: str, error: BaseException, param_path: str) -> UserError:
    cause = " ".join(str(error).split())[:200]
    names = ", ".join(path.name for path in paths)
    return UserError(f"{param_path}: {names} cannot be read as {file_format} ({cause})")


def _format(paths: Sequence[Path], param_path: str) -> str:
    """The format that all files have, by their names; raises `UserError` where they differ."""
    suffixes = {Path(path.name.removesuffix(".gz")).suffix for path in paths}
    if len(suffixes) > 1 or not suffixes <= FORMATS.keys():
        raise UserError(
            f"{param_path}: files must be all Parquet, all JSON or all CSV, named so ({', '.join(FORMATS)}); found "
            + ", ".join(path.name for path in paths[:5])
        )
    return FORMATS[suffixes.pop()]
