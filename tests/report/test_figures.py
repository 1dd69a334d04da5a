"""The figures: what they show of made experiments."""

import csv
import importlib
import json
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from dvc_render import VegaRenderer
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.text import Text

from tests.report.made import ACCURACY, GENERATION, PREFERENCE, ROOT, Cells, Experiment, experiment
from w2s.core import registry
from w2s.core.errors import UserError
from w2s.report import figures
from w2s.report.figures import style
from w2s.report.formats import human
from w2s.report.tables import name_of, read_tables

FIGURES = registry.names("w2s.report.figures")


def drawn(name: str, made: Experiment) -> Figure:
    module = importlib.import_module(f"w2s.report.figures.{name}")
    with rc_context(style.STYLE):
        return module.draw(made.tables, made.grid)


def texts(figure: Figure) -> list[str]:
    return [found.get_text() for found in figure.findobj(Text)]


def heights(figure: Figure) -> dict[str, list[float]]:
    """The bars of each panel by its title."""
    return {axes.get_title("left"): [bar.get_height() for bar in axes.patches] for axes in figure.axes}


@pytest.mark.slow
def test_the_same_tables_give_the_same_bytes(one: Experiment) -> None:
    again = read_tables(one.folder / "reports")
    assert figures.draw(one.tables, one.grid) == figures.draw(again, one.grid)


@pytest.mark.slow
def test_files_are_whole_small_and_without_a_date(three: Experiment) -> None:
    found = {figure.name: figure for figure in figures.draw(three.tables, three.grid)}
    assert found.keys() == set(FIGURES)
    for figure in found.values():
        assert ElementTree.fromstring(figure.svg).tag == "{http://www.w3.org/2000/svg}svg"
        assert b"dc:date" not in figure.svg
        assert not re.search(rb'href="[^#]', figure.svg)
        assert len(figure.svg) < 400_000


@pytest.mark.slow
def test_figures_without_rows_are_left_out(tmp_path: Path) -> None:
    made = experiment(tmp_path, GENERATION)
    found = {figure.name for figure in figures.draw(made.tables, made.grid)}
    assert found == set(FIGURES) - {"calibration", "saliency"}


@pytest.mark.slow
def test_a_figure_is_added_by_one_file(one: Experiment, toy: Path) -> None:
    found = [(figure.section, figure.name) for figure in figures.draw(one.tables, one.grid)]
    assert found[:3] == [("overview", "toy"), ("overview", "widest_gap"), ("overview", "scaling")]


def test_a_section_that_the_page_has_not_is_refused(one: Experiment, toy: Path) -> None:
    toy.write_text(toy.read_text().replace('"overview"', '"overvew"'))
    with pytest.raises(UserError, match=r"figure toy: SECTION: unknown name 'overvew'.*did you mean 'overview'"):
        figures.draw(one.tables, one.grid)


@pytest.mark.slow
def test_a_large_grid_is_drawn(tmp_path: Path) -> None:
    accuracy = {"a": 0.55, "b": 0.6, "pythia-160m": 0.7, "d": 0.8, "e": 0.9}
    made = experiment(
        tmp_path,
        Cells(
            tasks=["reviews", "chess", "sciq"],
            weak=list(accuracy)[:2],
            strong=list(accuracy)[2:],
            accuracy=accuracy,
            recovered={name: 0.1 * place for place, name in enumerate(("naive", "b", "c", "d"))},
        ),
    )
    assert {figure.name for figure in figures.draw(made.tables, made.grid)} == set(FIGURES) - {"saliency"}


def test_the_widest_gap_shows_supervisor_baseline_best_and_ceiling(tmp_path: Path) -> None:
    better = Cells(recovered={"naive": 0.25, "confidence": 0.5, "late": 0.75})
    figure = drawn("widest_gap", experiment(tmp_path, better, PREFERENCE, GENERATION))
    bars = heights(figure)
    low = ACCURACY["xs"]
    high = ACCURACY["l"]
    expected = [low, better.student("xs", "l", "naive"), better.student("xs", "l", "late"), high]
    assert bars["classification · reviews"] == pytest.approx(expected, abs=0.002)
    expected = [low, PREFERENCE.student("xs", "l", "naive"), PREFERENCE.student("xs", "l", "generative"), high]
    assert bars["preference · preferences"] == pytest.approx(expected, abs=0.002)
    names = [[label.get_text() for label in axes.get_xticklabels()] for axes in figure.axes]
    assert [name[2] for name in names] == ["late", "generative", "bootstrap"]
    assert {"PGR\n25%", "PGR\n75%", "PGR\n60%", "PGR\n30%", "PGR\n50%"} <= {*texts(figure)}
    dashed = [line.get_ydata()[0] for line in figure.axes[1].lines if line.get_linestyle() == "--"]
    assert PREFERENCE.ceiling("l", "generative") in [pytest.approx(y, abs=0.002) for y in dashed]
    chance = [0.5 in [*np.ravel([line.get_ydata() for line in axes.lines])] for axes in figure.axes]
    assert chance == [True, True, False]


def test_without_another_method_the_widest_gap_names_none(tmp_path: Path) -> None:
    figure = drawn("widest_gap", experiment(tmp_path, Cells(recovered={"naive": 0.25})))
    assert [len(bars) for bars in heights(figure).values()] == [3]


def test_of_many_tasks_the_widest_gap_shows_medians(tmp_path: Path) -> None:
    made = experiment(tmp_path, Cells(tasks=[f"task{k}" for k in range(5)], weak=["xs"], strong=["l"]))
    for k, row in enumerate(made.tables["settings"].select(role="supervisor")):
        row["accuracy"] = 0.5 + 0.05 * k
    figure = drawn("widest_gap", made)
    bars = heights(figure)
    assert list(bars) == ["classification · 5 tasks"]
    # of 50, 55, 60, 65 and 70 %, with the quartiles
    assert bars["classification · 5 tasks"][0] == pytest.approx(0.6)
    assert [line.get_ydata()[-1] for line in figure.axes[0].lines[:2]] == pytest.approx([0.55, 0.65])


def test_a_panel_a_method_draws_its_own_ceiling(three: Experiment) -> None:
    panels = {axes.get_title("left"): axes for axes in drawn("scaling", three).axes}
    assert list(panels) == [
        *("reviews · naive", "reviews · confidence", "preferences · naive", "preferences · generative"),
        *("endgames · naive", "endgames · bootstrap"),
    ]
    tops = {name: axes.lines[0].get_ydata()[-1] for name, axes in panels.items()}
    assert tops["preferences · generative"] == pytest.approx(tops["preferences · naive"] + 0.01)


def test_undefined_pgr_keeps_its_place_with_the_reason(tmp_path: Path) -> None:
    made = experiment(tmp_path, Cells(accuracy=ACCURACY | {"s": 0.87}))
    (reason,) = {row["reason"] for row in made.tables["pgr"] if row["pgr"] is None}
    figure = drawn("pgr", made)
    # once for both methods, which keep their rows
    assert texts(figure).count(f"n/a: {reason}") == 1
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["naive", "confidence", "zero-shot", "supervisor's truth", "from scratch"] * 4


def test_rows_are_named_and_filled_where_they_are_significant(tmp_path: Path) -> None:
    made = experiment(tmp_path, Cells(recovered={"naive": 0.25, "confidence": 0.7, "hard": 0.25}))
    (axes,) = drawn("comparison", made).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [*map(name_of, made.tables["comparison"])]
    rows = [row for row in made.tables["comparison"] if row["role"] == "student"]
    assert {row["significant"] for row in rows} == {0, 1}
    headings = [text.get_text() for text in axes.texts if "→" in text.get_text()]
    assert headings == ["xs → l", "xs → m", "s → l", "s → m"]
    assert "gap 40.5 points" in texts(axes.figure)
    marks = [line for line in axes.lines if line.get_marker() in style.METHOD_MARKERS]
    assert [mark.get_xdata()[0] for mark in marks] == pytest.approx([row["difference"] for row in rows])
    assert [mark.get_markerfacecolor() != "white" for mark in marks] == [row["significant"] == 1 for row in rows]


@pytest.mark.slow
def test_a_difference_far_off_is_an_arrow_with_its_value(tmp_path: Path) -> None:
    """It would squeeze all others; a zero that is far off stays on the axis, since it is what differences are from."""
    accuracy = {"xs": 0.8, "s": 0.81, "m": 0.83, "l": 0.84}
    shares = {"naive": 0.3, "few-shot": -10, "near": 0.31, "close": 0.29, "even": 0.3, "evener": 0.3, "other": 0.32}
    made = experiment(tmp_path, Cells(accuracy=accuracy, recovered=shares, zero_shot=0.85))
    (axes,) = drawn("comparison", made).axes
    left, right = axes.get_xlim()
    assert -0.1 < left < 0 < right < 0.1
    off = [row["difference"] for row in made.tables["comparison"] if row["method"] in ("few-shot", "")]
    said = [text.get_text() for text in axes.texts if text.get_text()[:1] in "+−"]
    beyond = [difference for difference in off if not left <= difference <= right]
    assert sorted(said) == sorted(f"{100 * difference:+.1f}".replace("-", "−") for difference in beyond)
    assert min(beyond) < left
    markers = [line.get_marker() for line in axes.lines]
    assert markers.count("<") + markers.count(">") >= len(said)
    for row in made.tables["overfitting"]:
        row |= {"difference": 0.2, "low": 0.19, "high": 0.21}
    (axes,) = drawn("overfitting", made).axes
    assert axes.get_xlim()[0] < 0


def test_features_stand_beside_their_base_model_and_ceiling(one: Experiment) -> None:
    axes = drawn("saliency", one).axes[0]
    ceilings = [row["probe"] for row in one.tables["saliency"].select(role="ceiling")]
    lines = [line for line in axes.lines if line.get_linestyle() == "-" and line.get_color() == style.INK]
    assert {line.get_xdata()[0] for line in lines} == set(ceilings)
    points = [line.get_xdata()[0] for line in axes.lines if line.get_marker() in ("o", "s")]
    assert points == [row["probe"] for row in one.tables["saliency"].select(role="student")]


def test_one_prompted_answer_is_a_point_in_the_curves_and_no_panel_of_training(tmp_path: Path) -> None:
    cells = Cells(weak=["xs"], strong=["l"], recovered={"naive": 0.25, "few-shot": 0.5}, prompted=["few-shot"])
    made = experiment(tmp_path, cells)
    (axes,) = drawn("curves", made).axes
    point = (0.0, pytest.approx(cells.student("xs", "l", "few-shot"), abs=0.002))
    assert [point] in [[*zip(line.get_xdata(), line.get_ydata(), strict=True)] for line in axes.lines]
    assert [axes.get_title("left") for axes in drawn("training", made).axes] == ["truth", "naive"] * 2


def test_simulated_supervisors_have_no_place_where_pairs_go_by_size(tmp_path: Path) -> None:
    made = experiment(tmp_path, Cells(simulated=["random-errors", "hard-errors"]))
    panels = [axes.get_title("left") for axes in drawn("agreement", made).axes]
    assert panels == ["students of xs", "students of s", "random-errors", "hard-errors"]
    for name in ("widest_gap", "scaling", "pgr", "comparison", "curves", "training", "calibration"):
        assert not any("errors" in text for text in texts(drawn(name, made))), name


def test_any_number_of_methods_look_different_and_fit_the_legend(tmp_path: Path) -> None:
    names = [f"method-{index}" for index in range(14)]
    made = experiment(tmp_path, Cells(strong=["l"], recovered={"naive": 0.2} | dict.fromkeys(names, 0.5)))
    looks = {method: style.method_look(made.grid, method) for method in made.grid.methods}
    assert len({tuple(look.values()) for look in looks.values()}) == 15
    views = style.views(made.grid.tasks["reviews"])
    assert [*views] == ["1 of 3", "2 of 3", "3 of 3"]
    assert {name for view in views.values() for name in view} == {*made.grid.methods}
    for view in views.values():
        assert view[0] == "naive"
        assert len({looks[method]["color"] for method in view}) == len(view)
    panels = [axes.get_title("left") for axes in drawn("curves", made).axes]
    assert panels[:3] == ["xs → l · 1 of 3", "xs → l · 2 of 3", "xs → l · 3 of 3"]
    figure = drawn("agreement", made)
    (legend,) = figure.legends
    assert legend.get_window_extent().x1 <= figure.bbox.x1


def test_a_name_looks_the_same_everywhere(three: Experiment) -> None:
    grid = three.grid
    assert grid.weak == ["xs", "s", "chess-xs", "chess-s"]
    assert grid.methods == ["naive", "confidence", "generative", "bootstrap"]
    assert len({style.supervisor_colour(grid, weak) for weak in grid.weak}) == 4
    assert len({style.method_look(grid, method)["color"] for method in grid.methods}) == 4


def test_the_baseline_is_known_by_its_parts_and_not_by_its_name(tmp_path: Path) -> None:
    made = experiment(tmp_path, Cells(weak=["xs"], strong=["l"]))
    grid = made.params.grid
    block = grid.classification.model_copy(update={"methods": ["confidence", "plain"], "ceilings": ["plain"]})
    params = made.params.model_copy(
        update={
            "grid": grid.model_copy(update={"classification": block}),
            "methods": made.params.methods | {"plain": made.params.methods["naive"]},
        }
    )
    part = replace(made, params=params).grid.tasks["reviews"]
    assert (part.baseline, part.ceiling) == ("plain", "plain")


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (11_184, "11k"),
        (102_272, "102k"),
        (999_999, "1M"),
        (1.5e9, "1.5B"),
        (1e11, "100B"),
        (1e4, "10k"),
        (124e6, "124M"),
    ],
)
def test_sizes_read_as_people_write_them(parameters: float, text: str) -> None:
    assert human(parameters) == text


def test_dvc_plots_take_the_same_tables(three: Experiment) -> None:
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text().replace("${grid.reports}", "reports"))["plots"]
    for name, look in ((name, look) for plot in plots for name, look in plot.items()):
        ((file, y),) = look["y"].items()
        with (three.folder / file).open(newline="") as lines:
            points = [row | {"rev": "workspace"} for row in csv.DictReader(lines)]
        renderer = VegaRenderer(points, name, **look | {"y": y}, template_dir=str(ROOT / ".dvc" / "plots"))
        spec = json.dumps(renderer.get_filled_template())
        assert "<DVC_METRIC" not in spec, name
        asked = set(re.findall(r'"field": "([^"]+)"', spec)) - set(re.findall(r'"as": "([^"]+)"', spec))
        assert asked <= points[0].keys(), name
