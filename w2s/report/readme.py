"""Writes the numbers of a Markdown file from committed reports, between markers that name a view and its folders.

`<!-- numbers: pairs reports/suite -->` begins a part, `<!-- end of numbers -->` ends it; what stands between is made
anew by `w2s readme`. Each view is one function from a report's folder, or several, to lines of Markdown.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from w2s.core.errors import UserError, unknown
from w2s.core.files import read_json
from w2s.report.formats import interval, percent, signed
from w2s.report.summary import Estimate
from w2s.report.tables import CONTROLS, Row, Table

MARKED = re.compile(r"(<!-- numbers: (\S+) (\S+(?: \S+)*) -->\n).*?(<!-- end of numbers -->)", re.DOTALL)
SIGNS = {"holds": "✓", "does not hold": "✗", "undecided": "?"}


def write(file: Path) -> None:
    """Put the numbers of today's reports into the file."""
    file.write_text(with_numbers(file.read_text(encoding="utf-8")), encoding="utf-8")


def with_numbers(text: str) -> str:
    """The text with every marked part made anew; raises `UserError` for a view or folder that is not there."""

    def part(match: re.Match[str]) -> str:
        before, view, folders, after = match.groups()
        if view not in VIEWS:
            raise unknown("README.md: view", view, VIEWS)
        for folder in folders.split():
            if not (Path(folder) / "summary.csv").is_file():
                raise UserError(f"README.md: {folder} holds no report")
        return before + "\n".join(VIEWS[view](*map(Path, folders.split()))) + "\n" + after

    return MARKED.sub(part, text)


def pairs(reports: Path) -> list[str]:
    """Every student that is larger than its supervisor, between supervisor and ceiling, with its PGR."""
    summary = Table(reports / "summary.csv")
    rows = []
    for cell in _larger_students(reports):
        place = {key: cell[key] for key in ("task", "weak", "strong", "method")}
        supervisor = _one(summary, task=cell["task"], role="supervisor", metric="accuracy", weak=cell["weak"])
        ceiling = _one(
            summary,
            **{"task": cell["task"], "role": "ceiling", "metric": "accuracy"},
            **{"strong": cell["strong"], "method": cell["ceiling"]},
        )
        student = _one(summary, role="student", metric="accuracy", **place)
        pgr = _one(summary, role="student", metric="pgr", **place)
        rows.append(
            [
                cell["task"],
                f"{cell['weak']} → {cell['strong']}",
                cell["method"],
                percent(supervisor["value"]),
                _interval(student),
                percent(ceiling["value"]),
                _interval(pgr, digits=0),
            ]
        )
    return _table(["task", "supervisor → student", "method", "supervisor", "student", "ceiling", "PGR"], rows)


def controls(reports: Path) -> list[str]:
    """Controls of each strong model beside its ceiling."""
    summary = Table(reports / "summary.csv")
    rows: list[list[str]] = []
    for ceiling in summary.select(role="ceiling", metric="accuracy"):
        model = {"task": ceiling["task"], "strong": ceiling["strong"], "metric": "accuracy"}
        if any(row[:2] == [model["task"], model["strong"]] for row in rows):
            continue
        measured = [
            summary.select(role=role, **model | {"metric": "probe" if role == "base" else "accuracy"})
            for role in CONTROLS
        ]
        found = [percent(one[0]["value"]) if one else "–" for one in measured]
        rows.append([model["task"], model["strong"], *found, percent(ceiling["value"])])
    return _table(["task", "model", *CONTROLS.values(), "ceiling"], rows)


def differences(reports: Path) -> list[str]:
    """Each method against naive finetuning: clearly better or worse after correction for the number of comparisons."""
    comparison = Table(reports / "plots/comparison.csv")
    rows = []
    for (task, weak, strong), group in groupby(comparison, key=lambda row: (row["task"], row["weak"], row["strong"])):
        methods = sorted((row for row in group if row["method"]), key=lambda row: -row["difference"])
        clear = [row for row in methods if row["significant"]]
        better = [_points(row) for row in clear if row["difference"] > 0]
        worse = [_points(row) for row in clear if row["difference"] < 0]
        same = [_points(row) for row in methods if not row["significant"]]
        rows.append([task, f"{weak} → {strong}", *("; ".join(some) for some in (better, same, worse))])
    return _table(["task", "pair", "better", "not clearly different", "worse"], rows)


def claims(*folders: Path) -> list[str]:
    """The paper's claims with their verdicts, effects in points and intervals, one column a setting of each report.

    Settings in which a report tests nothing are left out, of several reports also claims that none of them tests.
    """
    several = len(folders) > 1
    headings = ["claim of the paper", "section"]
    lines: dict[str, list[str]] = {}
    tested = set()
    for folder in folders:
        rows = read_json(folder / "claims.json")["claims"]
        tests = [row for row in rows if row["verdict"] in SIGNS]
        tested |= {row["id"] for row in tests}
        settings = list(dict.fromkeys(row["setting"] for row in tests if row["setting"]))
        headings += [f"{setting}, {folder}" if several else setting for setting in settings]
        for claim, group in groupby(rows, key=lambda row: row["id"]):
            verdicts = {row["setting"]: row for row in group}
            first = next(iter(verdicts.values()))
            line = lines.setdefault(claim, [first["claim"].removesuffix("."), first["section"]])
            line += _verdicts(verdicts, settings)
    return _table(headings, [line for claim, line in lines.items() if claim in tested or not several])


def confirmation(first: Path, second: Path) -> list[str]:
    """What either of two reports of the same grid settles, claims and then comparisons, and how often they agree."""
    lines = []
    said = []
    for kind, findings in {"claims": _tested_claims, "comparisons with naive finetuning": _comparisons}.items():
        before, after = findings(first), findings(second)
        alike = [key for key in before if before[key].effect * after[key].effect > 0]
        once = [key for key in before if before[key].settled]
        again = [key for key in once if after[key].settled and key in alike]
        more = [key for key in before if after[key].settled and key not in once]
        lines += [[*key, before[key].shown, after[key].shown] for key in before if key in {*once, *more}]
        said.append(
            f"Of {len(before)} {kind}, {first} settles {len(once)}; {second} settles {len(again)} of these likewise "
            f"and {len(more)} others. {len(alike)} of the {len(before)} effects have the same sign in both."
        )
    return [*_table(["claim, or method against naive", "where", str(first), str(second)], lines), "", *said]


VIEWS: dict[str, Callable[..., list[str]]] = {
    "pairs": pairs,
    "controls": controls,
    "differences": differences,
    "claims": claims,
    "confirmation": confirmation,
}


def _larger_students(reports: Path) -> list[Row]:
    """A cell of the results for each student, whatever the seed, that is larger than its supervisor."""
    sizes = {row["model"]: row["parameters"] for row in Table(reports / "plots/scaling.csv")}
    cells = {
        (cell["task"], cell["weak"], cell["strong"], cell["method"]): cell
        for cell in Table(reports / "results.csv")
        if cell["weak"] in sizes and sizes[cell["strong"]] > sizes[cell["weak"]]
    }
    return list(cells.values())


def _one(table: Table, **wanted: str) -> Row:
    (row,) = table.select(**wanted)
    return row


@dataclass(frozen=True)
class _Finding:
    effect: float
    settled: bool
    shown: str


def _tested_claims(reports: Path) -> dict[tuple[str, str], _Finding]:
    """By claim and setting."""
    found = {}
    for row in read_json(reports / "claims.json")["claims"]:
        if row["verdict"] in SIGNS:
            key = row["claim"].removesuffix("."), row["setting"] or "all together"
            found[key] = _Finding(row["effect"], row["verdict"] != "undecided", _verdict(row))
    return found


def _comparisons(reports: Path) -> dict[tuple[str, str], _Finding]:
    """By method and pair."""
    found = {}
    for row in Table(reports / "plots/comparison.csv"):
        if row["method"]:
            key = row["method"], f"{row['task']}, {row['weak']} → {row['strong']}"
            settled = row["significant"] == 1
            shown = _effect(row, "difference")
            found[key] = _Finding(row["difference"], settled, shown if settled else f"{shown}, not clear")
    return found


def _interval(row: Row, digits: int = 1) -> str:
    return interval(Estimate(row["value"], row["low"], row["high"], row["reason"]), digits)


def _points(row: Row) -> str:
    return f"{row['method']} {_effect(row, 'difference')}"


def _verdicts(verdicts: dict[str, Row], settings: list[str]) -> list[str]:
    """A cell for each setting; what is judged over all of them stands in the first."""
    everywhere = verdicts.get("")
    if everywhere and everywhere["verdict"] in SIGNS:
        return [f"all together: {_verdict(everywhere)}", *[""] * (len(settings) - 1)]
    return [_verdict(verdicts.get(setting)) for setting in settings]


def _verdict(row: Row | None) -> str:
    if row is None or row["verdict"] == "not tested":
        return "–"
    if row["verdict"] not in SIGNS:
        return str(row["verdict"])
    return f"{SIGNS[row['verdict']]} {row['verdict']} {_effect(row, 'effect')}"


def _effect(row: Row, column: str) -> str:
    """An effect with its interval, in points."""
    effect, low, high = (signed(f"{100 * row[key]:+.1f}") for key in (column, "low", "high"))
    return f"{effect} [{low}, {high}]"


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    lines = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
