"""Draw the figures and write the report from what `evaluate` measured."""

from pathlib import Path

from w2s import params
from w2s.analysis import figures, report
from w2s.analysis.environment import environment
from w2s.records import atomic
from w2s.stage import run

REPORTS, PARAMS = Path("reports"), Path("params.yaml")


def main() -> None:
    """Read reports/*.csv and reports/plots/; write reports/figures/*.png and reports/report.html."""
    evaluate = params.load(PARAMS).evaluate
    tables = figures.read_tables(REPORTS)
    images = {name: figures.png(name, tables) for name in figures.FIGURES}
    for name, image in images.items():
        with atomic(REPORTS / "figures" / f"{name}.png") as file:
            file.write_bytes(image)
    with atomic(REPORTS / "report.html") as file:
        file.write_text(
            report.page(tables, images, evaluate, PARAMS.read_text(encoding="utf-8"), environment()), encoding="utf-8"
        )


if __name__ == "__main__":
    run(main)
