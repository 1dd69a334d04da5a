"""Evaluate a grid: collect each task's predictions, measure them, and write tables, metrics and claims."""

import sys
from pathlib import Path
from typing import Any

from w2s.core import files
from w2s.core.params import Params
from w2s.results import answers, claims, tables
from w2s.results.collect import collect, task_grids
from w2s.results.measure import TaskSummary, measure, summarise


def evaluate(params: Params, folder: Path) -> None:
    """Write into `folder`: every table of `tables`, metrics.json, claims.json and answers.parquet."""
    rows: dict[str, list[tables.Row]] = {path: [] for path in tables.TABLES}
    values: dict[str, Any] = {}
    summaries: list[TaskSummary] = []
    answered: list[answers.Row] = []
    for grid in task_grids(params):
        if grid.baseline is None:
            print(f"{grid.task}: no method is naive (without parts), so none is compared with it", file=sys.stderr)
        # Only the summary outlives the task: draws of 4,000 examples in 1,000 replicates alone take 32 MB.
        predictions = collect(grid)
        answered += answers.rows(predictions)
        measured = measure(predictions, params.evaluate)
        summary = summarise(measured)
        for path, of_task in tables.rows_by_path(measured, summary).items():
            rows[path] += of_task
        values[grid.task] = tables.nested_metrics(summary)
        summaries.append(summary)
    for path, of_all in rows.items():
        tables.write(path, of_all, folder)
    files.write_json(folder / "metrics.json", values)
    claims.write(summaries, folder)
    answers.write(answered, folder)
