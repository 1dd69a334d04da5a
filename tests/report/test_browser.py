"""The page in a real browser, on a laptop and on a phone; left out where there is no Chromium."""

import html
import json
import re
import shutil
import subprocess
from typing import Any

import pytest

from tests.report.made import Experiment
from w2s.report import figures, report

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Seconds.
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CHROMIUM, reason="no Chromium here")]

WIDTHS = {"laptop": 1280, "phone": 375}
# A figure's own text is 9.5 points high where its 720 points of width are shown in as many pixels.
LEGIBLE = 13 / 9.5 * 720
MEASURE = """
addEventListener("load", () => {
  const measured = [...document.querySelectorAll("iframe")].map(({contentDocument: page}) => {
    for (const closed of page.querySelectorAll("details")) closed.open = true;
    return {
      beyond: page.documentElement.scrollWidth - page.documentElement.clientWidth,
      figures: [...page.querySelectorAll("figure")].map(figure => {
        const [hint, card] = [figure.querySelector(".hint"), figure.querySelector(".card")];
        return {
          cut: card.scrollWidth > card.clientWidth,
          hint: hint.offsetHeight > 0 && hint.offsetTop < card.offsetTop,
          width: card.querySelector("img").offsetWidth,
        };
      }),
    };
  });
  document.querySelector("output").textContent = JSON.stringify(measured);
});
"""


@pytest.fixture(scope="module")
def measured(three: Experiment, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a browser makes of the page in each width."""
    folder = tmp_path_factory.mktemp("page")
    drawn = figures.draw(three.tables, three.grid)
    (folder / "figures").mkdir()
    for figure in drawn:
        (folder / f"figures/{figure.name}.svg").write_bytes(figure.svg)
    page = report.page(three.params, three.tables, three.claims, drawn, report.Origin("long: " + "x" * 500, {}))
    frames = [
        f'<iframe style="width: {width}px; height: 900px" srcdoc="{html.escape(page)}"></iframe>'
        for width in WIDTHS.values()
    ]
    probe = folder / "probe.html"
    probe.write_text(f"<meta charset=utf-8>{''.join(frames)}<output></output><script>{MEASURE}</script>")
    command = [CHROMIUM or "", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", probe.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    found = re.search("<output>(.+?)</output>", done.stdout, re.DOTALL)
    assert found, done.stderr
    return dict(zip(WIDTHS, json.loads(html.unescape(found[1])), strict=True))


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_never_scrolls_sideways(measured: dict[str, Any], width: str) -> None:
    assert measured[width]["beyond"] == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_a_figure_is_legible_and_where_it_is_cut_a_hint_above_it_says_so(measured: dict[str, Any], width: str) -> None:
    assert measured[width]["figures"]
    for figure in measured[width]["figures"]:
        assert figure["width"] >= LEGIBLE
        assert figure["hint"] == figure["cut"]


def test_the_hint_is_there_on_a_phone_only(measured: dict[str, Any]) -> None:
    assert all(figure["cut"] for figure in measured["phone"]["figures"])
    assert not any(figure["cut"] for figure in measured["laptop"]["figures"])
