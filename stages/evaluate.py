"""Measure the grid's predictions against the test truth: the report's tables, and the metrics that DVC compares."""

from pathlib import Path

from w2s import params
from w2s.analysis import claims, evaluation
from w2s.stage import run


def main() -> None:
    """Read the grid's predictions and write to its folder: metrics.json, claims.json and tables."""
    experiment = params.load()
    tables, values, outcomes = evaluation.evaluate(experiment)
    evaluation.write(tables, values, Path(experiment.grid.reports))
    claims.write(outcomes, Path(experiment.grid.reports))


if __name__ == "__main__":
    run(main)
