"""Measure the grid's predictions against the test truth: the report's tables, and the metrics that DVC compares."""

from pathlib import Path

from w2s.core import checks
from w2s.core.stage import run
from w2s.results import claims, evaluation


def main() -> None:
    """Read the grid's predictions and write to its folder: metrics.json, claims.json and tables."""
    experiment = checks.load()
    tables, values, outcomes = evaluation.evaluate(experiment)
    evaluation.write(tables, values, Path(experiment.grid.reports))
    claims.write(outcomes, Path(experiment.grid.reports))


if __name__ == "__main__":
    run(main)
