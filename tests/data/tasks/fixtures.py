"""A hub cache on disk that holds made-up rows in each data set's real schema.

`FIXTURES` has one entry a hub task of params.yaml. To add one: a function that is given a `Writer` and a row's number
and returns one row as the data set has it (rows that share a passage ask `writer.shared(...)`), its Arrow schema, and
`swaps`: the same row with another candidate right, or with another label.
"""

import gzip
import hashlib
import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from tests.data.tasks import choices, comparisons, statements
from tests.data.tasks.writer import Fixture, Row
from tests.hub import prefill
from w2s.core.params import Task

FIXTURES: dict[str, Fixture] = choices.FIXTURES | statements.FIXTURES | comparisons.FIXTURES


def write(path: Path, rows: list[Row], schema: pa.Schema) -> None:
    """Rows as a file of the kind that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    elif path.suffix == ".csv":
        pyarrow.csv.write_csv(pa.Table.from_pylist(rows, schema=schema), path)
    else:
        lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
        path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)


def fill(cache: Path, name: str, task: Task, rows: int = 150, fixture: Fixture | None = None) -> Path:
    """Put a task's fixture into a hub cache (`HF_HUB_CACHE`), where its line in params.yaml looks for it.

    Each file pattern of the line becomes one file of `rows` rows. Returns the folder of the data set's files.
    """
    fixture, options = fixture or FIXTURES[name], task.options
    revision, repository = options["revision"], options["repository"]
    pinned = re.fullmatch("[0-9a-f]{40}", revision)
    commit = revision if pinned else hashlib.sha1(revision.encode()).hexdigest()
    with TemporaryDirectory() as folder:
        for split in options.keys() & {"train", "test"}:
            patterns = options[split]
            for pattern in [patterns] if isinstance(patterns, str) else patterns:
                content = fixture.rows(f"{split} {pattern}", rows)
                write(Path(folder, pattern.replace("*", "0000")), content, fixture.schema)
        return prefill(cache, repository, commit, Path(folder), "dataset", "main" if pinned else revision)
