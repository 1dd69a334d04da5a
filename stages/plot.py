"""Draw the figures and write the report from what `evaluate` measured."""

from pathlib import Path

from w2s.core import checks
from w2s.core.files import atomic, read_json, write_json
from w2s.core.stage import run
from w2s.report import figures, report
from w2s.report.environment import environment
from w2s.report.tables import ReportGrid, read_tables

PARAMS = Path("params.yaml")


def main() -> None:
    """Read the tables in the folder for results; write figures/*.svg, report.html and environment.json beside them."""
    experiment = checks.load(PARAMS)
    reports = Path(experiment.grid.reports)
    tables = read_tables(reports)
    claims = read_json(reports / "claims.json")
    drawn = figures.draw(tables, ReportGrid.of(experiment, tables))
    for figure in drawn:
        with atomic(reports / "figures" / f"{figure.name}.svg") as file:
            file.write_bytes(figure.svg)
    write_json(reports / "environment.json", environment())
    origin = report.Origin(PARAMS.read_text(encoding="utf-8"), environment())
    with atomic(reports / "report.html") as file:
        file.write_text(report.page(experiment, tables, claims, drawn, origin), encoding="utf-8")


if __name__ == "__main__":
    run(main)
