"""The figures of the report: every file here is one, but for those named in `SHARED`.

A figure's file declares

- `SECTION`: the part of the page where it stands, one of `SECTIONS`, and `ORDER`, its place there;
- `TABLE`: without rows in this table there is nothing to draw;
- `TITLE` and `CAPTION`: what is drawn, and how to read it;
- `draw(tables, grid)`: a matplotlib figure.
"""

from dataclasses import dataclass

from matplotlib import rc_context

from w2s.core import registry
from w2s.core.errors import unknown
from w2s.report.figures.style import STYLE, svg
from w2s.report.tables import ReportGrid, Tables

SHARED = ("style", "layout", "forest")
SECTIONS = ("overview", "pgr", "methods", "agreement", "curves", "calibration", "saliency")


@dataclass(frozen=True)
class Drawn:
    """A figure as the page shows it."""

    name: str
    section: str
    title: str
    caption: str
    # pixels, by which a browser keeps its place free
    width: int
    height: int
    svg: bytes


def draw(tables: Tables, grid: ReportGrid) -> list[Drawn]:
    """Every figure that has something to show, in the order of the page."""
    modules = {name: registry.chosen("w2s.report.figures", name, "figure") for name in registry.names(__name__)}
    for name, module in modules.items():
        if module.SECTION not in SECTIONS:
            raise unknown(f"figure {name}: SECTION", module.SECTION, SECTIONS)
    drawn = []
    for name in sorted(modules, key=lambda name: (SECTIONS.index(modules[name].SECTION), modules[name].ORDER, name)):
        module = modules[name]
        if not tables[module.TABLE]:
            continue
        with rc_context(STYLE):
            figure = module.draw(tables, grid)
        width, height = (round(100 * inches) for inches in figure.get_size_inches())
        drawn.append(Drawn(name, module.SECTION, module.TITLE, module.CAPTION, width, height, svg(figure)))
    return drawn
