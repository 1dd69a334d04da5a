"""Rows of Parquet, JSON and CSV files, gzipped or not, in a random order that is the same everywhere."""

import gc
import glob
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from w2s.core.errors import UserError

FORMATS = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".csv": "csv"}
# A text may be "None" or "NA".
LOAD_OPTIONS = {"csv": {"keep_default_na": False}}
ROWS_AT_A_TIME = 1000


class Row(dict[str, Any]):
    """One row by column; to ask for a column that is missing or empty raises `ValueError`."""

    def __getitem__(self, column: str) -> Any:
        value = self.get(column)
        if value is None:
            fault = "empty" if column in self else f"missing: it has {', '.join(self)}"
            raise ValueError(f"column '{column}' is {fault}")
        return value


def shuffled_rows(paths: Sequence[Path], rng: random.Random, param_path: str) -> Iterator[Row]:
    """Every row of files of one format, shuffled by `rng`; raises `UserError` for a file that cannot be read."""
    import datasets  # heavy
    import pyarrow as pa

    file_format = _format(paths, param_path)
    datasets.disable_progress_bars()
    with TemporaryDirectory() as cache:
        try:
            table = datasets.load_dataset(
                file_format,
                data_files={"rows": [glob.escape(str(path)) for path in paths]},
                split="rows",
                cache_dir=cache,
                **LOAD_OPTIONS.get(file_format, {}),
            )
        except (datasets.exceptions.DatasetsError, pa.ArrowException, OSError, ValueError) as error:
            cause = " ".join(str(error.__cause__ or error).split())[:200]
            names = ", ".join(path.name for path in paths)
            raise UserError(f"{param_path}: {names} cannot be read as {file_format} ({cause})") from None
        # Frees Arrow's scanner, which would now and then abort the interpreter at its end (apache/arrow#45214).
        gc.collect()
        # Not Dataset.shuffle, whose order follows NumPy's version.
        order = sorted(range(len(table)), key=lambda _: rng.random())
        for start in range(0, len(table), ROWS_AT_A_TIME):
            columns = table[order[start : start + ROWS_AT_A_TIME]]
            yield from (Row(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))


def _format(paths: Sequence[Path], param_path: str) -> str:
    """The format that all files have, by their names; raises `UserError` where they differ."""
    suffixes = {Path(path.name.removesuffix(".gz")).suffix for path in paths}
    if len(suffixes) > 1 or not suffixes <= FORMATS.keys():
        raise UserError(
            f"{param_path}: files must be all Parquet, all JSON or all CSV, named so ({', '.join(FORMATS)}); found "
            + ", ".join(path.name for path in paths[:5])
        )
    return FORMATS[suffixes.pop()]
