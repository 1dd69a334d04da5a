"""The README's numbers are those of the committed reports."""

from pathlib import Path

import pytest

from w2s.core.errors import UserError
from w2s.report import readme

ROOT = Path(__file__).parents[2]


def test_the_committed_numbers_are_those_of_the_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {view for _, view, *_ in readme.MARKED.findall(text)} == readme.VIEWS.keys()
    assert readme.with_numbers(text) == text, "run `w2s readme`"


def test_a_changed_number_is_put_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = "before\n<!-- numbers: pairs reports -->\n| 99 % |\n<!-- end of numbers -->\nafter\n"
    written = readme.with_numbers(text)
    assert "99 %" not in written
    assert written.startswith("before\n<!-- numbers: pairs reports -->\n| task |")
    assert written.endswith("<!-- end of numbers -->\nafter\n")
    results = (ROOT / "reports/results.csv").read_text().splitlines()[1].split(",")
    assert f"| {results[0]} | {results[1]} → {results[2]} | {results[3]} |" in written


@pytest.mark.parametrize(
    ("marker", "message"),
    [("pears reports", "did you mean 'pairs'"), ("pairs nowhere", "nowhere holds no report")],
)
def test_a_wrong_marker_is_named(marker: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        readme.with_numbers(f"<!-- numbers: {marker} -->\n<!-- end of numbers -->")
