"""The page, and the stage that writes it."""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from stages import plot
from tests.report.made import ACCURACY, GENERATION, PREFERENCE, ROOT, Cells, Experiment, experiment
from w2s.core import registry
from w2s.report import figures, report

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """A page's text by section, its figures, and what it refers to; refuses tags that do not nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.sources: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.alternatives: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append((tag, found.get("id", "")))
        self.ids += [found["id"]] if "id" in found else []
        self.sources += [found["src"]] if "src" in found else []
        self.links += [found["href"]] if "href" in found else []
        self.alternatives += [found["alt"]] if "alt" in found else []

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self.open.pop()
        assert opened == tag, f"</{tag}> closes <{opened}>"

    def handle_data(self, data: str) -> None:
        if "style" not in [tag for tag, _ in self.open]:
            section = next((name for tag, name in self.open if tag == "section"), "header")
            self.texts.setdefault(section, []).append(data)

    def text(self, *sections: str) -> str:
        """What is read in these sections, or everywhere."""
        found = " ".join(text for name in sections or self.texts for text in self.texts.get(name, []))
        return " ".join(found.replace("\u202f", " ").split())


def page(made: Experiment, claims: dict[str, Any] | None = None) -> Page:
    drawn = figures.draw(made.tables, made.grid)
    origin = report.Origin("grid: {tasks: [<reviews>]}\n", {"commit": "abc"})
    return Page(report.page(made.params, made.tables, claims or made.claims, drawn, origin))


def claim(**row: Any) -> dict[str, Any]:
    known = {"id": "a", "setting": "classification", "claim": "Students win.", "section": "4.2", "test": "By this."}
    tested = {"effect": 0.081, "low": 0.06, "high": 0.102, "comparisons": 4, "left_out": 0}
    tested |= {"verdict": "holds", "why": ""}
    return known | tested | row


def untested(**row: Any) -> dict[str, Any]:
    return claim(effect=None, low=None, high=None, comparisons=0, verdict="not tested", **row)


@pytest.fixture
def project(one: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as `evaluate` leaves it."""
    shutil.copytree(one.folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_page_is_well_formed_and_loads_nothing_but_its_figures(three: Experiment) -> None:
    found = page(three)
    assert found.sources == [f"figures/{figure.name}.svg" for figure in figures.draw(three.tables, three.grid)]
    assert {source.removeprefix("figures/").removesuffix(".svg") for source in found.sources} == {
        *registry.names("w2s.report.figures")
    }
    anchors = {link.removeprefix("#") for link in found.links if link.startswith("#")}
    assert anchors <= set(found.ids)
    assert {link for link in found.links if not link.startswith("#")} == set(found.sources)
    assert not found.tags & {"script", "link", "iframe", "object"}
    assert len(found.ids) == len(set(found.ids))


@pytest.mark.slow
def test_text_of_parameters_is_escaped(one: Experiment) -> None:
    assert "[<reviews>]" in page(one).text("environment")


def test_styles_load_nothing_and_know_dark_and_narrow_windows(one: Experiment) -> None:
    html = report.page(one.params, one.tables, one.claims, [], report.Origin("", {}))
    style = re.search("<style>(.*)</style>", html, re.DOTALL)
    assert style
    assert not re.search(r"url\(|@import", style[1])
    assert "prefers-color-scheme: dark" in style[1]
    assert "max-width" in style[1]


def test_a_figure_of_one_file_stands_on_the_page(one: Experiment, toy: Path) -> None:
    found = page(one)
    assert found.sources[0] == "figures/toy.svg"
    assert found.alternatives[0] == "Accuracy of <every> cell"
    assert "One point a cell." in found.text("header")


@pytest.mark.slow
def test_undefined_pgr_is_flagged_with_its_reason(tmp_path: Path) -> None:
    made = experiment(tmp_path, Cells(accuracy=ACCURACY | {"s": 0.87}))
    (reason,) = {row["reason"] for row in made.tables["pgr"] if row["pgr"] is None}
    found = page(made)
    # once a method and once a control
    assert found.text("pgr").count(f"n/a: {reason}") == 2 + 3
    cells = [row for row in made.tables["results"] if row["pgr"] is None]
    assert found.text("cells").count("n/a: gap of") == len(cells) > 0


@pytest.mark.slow
def test_numbers_of_the_tables_stand_on_the_page(one: Experiment) -> None:
    found = page(one)
    (row,) = one.tables["pgr"].select(weak="xs", strong="l", method="confidence")
    value, low, high = (f"{100 * row[key]:.0f}" for key in ("pgr", "low", "high"))
    assert f"{value} % [{low}, {high}]" in found.text("pgr")
    for row in one.tables["comparison"]:
        assert f"{100 * row['difference']:+.1f} points".replace("-", "−") in found.text("methods")
    for row in one.tables["saliency"]:
        assert f"{100 * row['probe']:.1f} %" in found.text("saliency")


@pytest.mark.slow
def test_pretraining_leakage_is_noted_where_it_shows(one: Experiment, tmp_path: Path) -> None:
    assert "Pretraining leakage" in page(one).text("controls")
    without = experiment(tmp_path, Cells(weak=["xs"], strong=["l"], zero_shot=0.6))
    assert "Pretraining leakage" not in page(without).text()


@pytest.mark.slow
def test_three_settings_on_one_page(three: Experiment) -> None:
    found = page(three)
    for name in ("reviews (classification)", "preferences (preference)", "endgames (generation)"):
        assert name in found.text("header")
    assert "Of reviews, preferences, whose answers are probabilities" in found.text("calibration")
    # a method is described with the section of the paper that it comes from
    for method, section in (("naive", "4.2"), ("confidence", "4.3.2"), ("bootstrap", "4.3.1"), ("generative", "5.2.2")):
        description = found.text("numbers").split(f"The {method} method")[1].split(" The ")[0]
        assert f"section {section}" in description
    assert "verdict word" in found.text("numbers")


@pytest.mark.slow
def test_what_texts_of_another_task_tell_is_not_claimed(tmp_path: Path) -> None:
    made = experiment(tmp_path, Cells(tasks=["reviews"], recovered=PREFERENCE.recovered))
    assert "verdict word" not in page(made).text()


def test_of_answers_in_words_nothing_is_said_that_needs_probabilities(tmp_path: Path) -> None:
    text = page(experiment(tmp_path, GENERATION), {"rule": "", "claims": []}).text()
    for word in ("P(true)", "alibration", "probabilit", "AUROC", "ECE", "chance (50", "soft", "verdict word"):
        assert word not in text, word


@pytest.mark.slow
def test_claims_stand_with_verdict_and_effect(one: Experiment) -> None:
    text = page(one, {"rule": "The rule.", "claims": [claim()]}).text("claims")
    for part in ("The rule.", "Students win.", "section 4.2", "holds", "+8.1 points [+6.0, +10.2]", "By this."):
        assert part in text
    assert "not tested" not in text.lower()


@pytest.mark.slow
def test_claims_that_are_not_tested_are_one_list_by_reason(one: Experiment) -> None:
    rows = [
        claim(),
        untested(setting="preference", why="no preference task"),
        untested(setting="generation", why="no generation task"),
        untested(id="b", setting="", claim="Chess is odd.", why="no generation task"),
    ]
    text = page(one, {"rule": "", "claims": rows}).text("claims")
    assert text.lower().count("not tested") == 1
    assert text.count("By this.") == 1
    _, listed = text.split("no preference task:")
    first, second = listed.split("no generation task:")
    assert "Students win" in first
    assert "Students win" in second
    assert "Chess is odd" in second


def test_simulated_supervisors_are_named(tmp_path: Path) -> None:
    made = experiment(tmp_path, Cells(weak=["xs"], strong=["l"], simulated=["random-errors", "hard-errors"]))
    assert "random-errors, hard-errors" in page(made).text("numbers")


@pytest.mark.slow
def test_the_stage_writes_the_same_bytes_twice_and_touches_nothing_else(project: Path) -> None:
    mine = project / "reports" / "figures" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("keep")
    plot.main()
    written = {file: file.read_bytes() for file in (project / "reports").rglob("*") if file.is_file()}
    names = {f"{name}.svg" for name in registry.names("w2s.report.figures")}
    assert {file.name for file in mine.parent.iterdir()} == {"mine.txt", *names}
    plot.main()
    assert {file: file.read_bytes() for file in (project / "reports").rglob("*") if file.is_file()} == written


@pytest.mark.slow
def test_no_figure_is_written_twice(project: Path) -> None:
    plot.main()
    html = (project / "reports/report.html").read_text(encoding="utf-8")
    assert "data:image" not in html
    assert "<svg" not in html


def test_drawing_does_not_wait_for_torch() -> None:
    command = "import sys, stages.plot; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], cwd=ROOT, check=False).returncode == 0
