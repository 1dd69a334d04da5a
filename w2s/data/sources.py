"""Rows of Parquet, JSON and CSV files, gzipped or not, in a random order that is the same everywhere."""

import gc
import glob
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from w2s.core.errors import UserError

READERS = {".parquet": "parquet", ".jsonl": "json", ".json": "json", ".csv": "csv"}
OPTIONS = {"csv": {"keep_default_na": False}}  # a text may be "None" or "NA"
CHUNK = 1000


class Row(dict[str, Any]):
    """One row by column; to ask for a column that is missing or empty raises `ValueError`."""

    def __getitem__(self, column: str) -> Any:
        value = self.get(column)
        if value is None:
            raise ValueError(
                f"column '{column}' is {'empty' if column in self else 'missing: it has ' + ', '.join(self)}"
            )
        return value


def rows(paths: Sequence[Path], rng: random.Random, where: str) -> Iterator[Row]:
    """Every row of files of one kind, shuffled by `rng`; raises `UserError` for one that cannot be read."""
    import datasets  # heavy
    import pyarrow as pa

    kinds = {Path(path.name.removesuffix(".gz")).suffix for path in paths}
    if len(kinds) > 1 or not kinds <= READERS.keys():
        raise UserError(
            f"{where}: files must be all Parquet, all JSON or all CSV, named so ({', '.join(READERS)}); found "
            + ", ".join(path.name for path in paths[:5])
        )
    kind = READERS[kinds.pop()]
    datasets.disable_progress_bars()
    with TemporaryDirectory() as cache:
        try:
            table = datasets.load_dataset(
                kind,
                data_files={"rows": [glob.escape(str(path)) for path in paths]},
                split="rows",
                cache_dir=cache,
                **OPTIONS.get(kind, {}),
            )
        except (datasets.exceptions.DatasetsError, pa.ArrowException, OSError, ValueError) as error:
            cause = " ".join(str(error.__cause__ or error).split())[:200]
            names = ", ".join(path.name for path in paths)
            raise UserError(f"{where}: {names} cannot be read as {kind} ({cause})") from None
        gc.collect()  # Arrow's scanner, which at the interpreter's end would now and then abort it (apache/arrow#45214)
        order = sorted(range(len(table)), key=lambda _: rng.random())
        for start in range(0, len(table), CHUNK):
            columns = table[order[start : start + CHUNK]]
            yield from (Row(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
