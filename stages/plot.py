"""Draw the figures and write the report from what `evaluate` measured."""

import json
from pathlib import Path

from w2s.core import checks
from w2s.core.files import atomic
from w2s.core.stage import run
from w2s.report import figures, report
from w2s.report.environment import environment

PARAMS = Path("params.yaml")


def main() -> None:
    """Read the tables in the folder for results; write figures/*.png and report.html beside them."""
    experiment = checks.load(PARAMS)
    reports = Path(experiment.grid.reports)
    tables = figures.read_tables(reports)
    claims = json.loads((reports / "claims.json").read_text(encoding="utf-8"))
    images = figures.draw(tables)
    for name, image in images.items():
        with atomic(reports / "figures" / f"{name}.png") as file:
            file.write_bytes(image)
    written = PARAMS.read_text(encoding="utf-8")
    with atomic(reports / "report.html") as file:
        how = experiment.evaluate, experiment.methods, written, environment()
        page = report.page(tables, claims, images, *how)
        file.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    run(main)
