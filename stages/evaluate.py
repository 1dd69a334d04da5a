"""Measure the grid's predictions against the test truth: the report's tables, and the metrics that DVC compares."""

from pathlib import Path

from w2s.core import checks
from w2s.core.stage import run
from w2s.results.evaluate import evaluate


def main() -> None:
    """Read the grid's predictions and write to its folder: metrics.json, claims.json and tables."""
    params = checks.load()
    evaluate(params, Path(params.grid.reports))


if __name__ == "__main__":
    run(main)
