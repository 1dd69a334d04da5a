"""The README's numbers are those of the committed reports."""

import json
import shutil
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


def test_a_second_report_confirms_or_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One verdict that holds becomes undecided, one undecided holds, one turns into its opposite."""
    monkeypatch.chdir(ROOT)
    other = tmp_path / "other"
    (other / "plots").mkdir(parents=True)
    for name in ("summary.csv", "claims.json", "plots/comparison.csv"):
        shutil.copy(ROOT / "reports/suite" / name, other / name)
    found = json.loads((other / "claims.json").read_text())
    holds = [claim for claim in found["claims"] if claim["verdict"] == "holds"]
    undecided = [claim for claim in found["claims"] if claim["verdict"] == "undecided"]
    holds[0]["verdict"] = "undecided"
    undecided[0]["verdict"] = "holds"
    holds[1] |= {"verdict": "does not hold", "effect": -holds[1]["effect"]}
    (other / "claims.json").write_text(json.dumps(found))
    text = f"<!-- numbers: confirmation reports/suite {other} -->\n<!-- end of numbers -->"
    lines = readme.with_numbers(text).splitlines()
    known, all_tested = len(holds), len(holds) + len(undecided)
    assert any(
        line.startswith(
            f"Of {all_tested} claims, reports/suite settles {known}; {other} settles {known - 2} of these likewise and "
            f"1 others. {all_tested - 1} of the {all_tested} effects have the same sign"
        )
        for line in lines
    )
    rows = [line for line in lines if "✓" in line or "✗" in line]
    assert len(rows) == known + 1
    (turned,) = [line for line in rows if "✗" in line]
    assert "✓ holds" in turned
