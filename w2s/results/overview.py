"""The results of this folder as a table in the terminal."""

import csv
from pathlib import Path

from w2s.core.errors import UserError
from w2s.results.collect import ModelKey
from w2s.results.tables import COLUMNS
from w2s.results.text import lines

Row = dict[str, str]


def table(reports: Path, confidence: float) -> list[str]:
    """Supervisor → student → ceiling and PGR, one line a task, pair and method."""
    cells = _rows(reports / "results.csv")
    summary = {
        (row["task"], row["metric"], *(row[column] for column in ModelKey._fields)): row
        for row in _rows(reports / "summary.csv")
    }
    shown = []
    reasons: list[str] = []
    students = ((row["task"], row["weak"], row["strong"], row["method"], row["ceiling"]) for row in cells)
    try:
        for task, weak, strong, method, ceiling in dict.fromkeys(students):
            student = ModelKey("student", weak, strong, method)
            models = (ModelKey("supervisor", weak), student, ModelKey("ceiling", strong=strong, method=ceiling))
            accuracies = [float(summary[task, "accuracy", *model]["value"]) for model in models]
            pgr = summary[task, "pgr", *student]
            if reason := pgr["reason"]:
                reasons += [reason] * (reason not in reasons)
                recovered = f"n/a ({reasons.index(reason) + 1})"
            else:
                recovered = "{:.2f} [{:.2f}, {:.2f}]".format(*(float(pgr[name]) for name in ("value", "low", "high")))
            shown.append([task, weak, strong, method, *accuracies, recovered])
    except (KeyError, ValueError):
        raise UserError(f"{reports / 'summary.csv'}: does not fit results.csv{REMEDY}") from None
    headers = ["task", "weak", "strong", "method", "supervisor", "student", "ceiling", "PGR"]
    return [
        f"Accuracy on test inputs (mean over seeds), and performance gap recovered with its {confidence:.0%} interval",
        "",
        *lines(shown, headers, ".3f"),
        *(f"  ({number}) no PGR: {reason}" for number, reason in enumerate(reasons, 1)),
    ]


REMEDY = "; delete it, and `dvc repro` makes it anew"


def _rows(path: Path) -> list[Row]:
    """A table's rows, or an error if it is not whole."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist, so there are no results yet: run `dvc repro` first") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    # csv fills a row of too few fields with None, and puts those too many under the key None.
    whole = all(None not in row and None not in row.values() for row in rows)
    if reader.fieldnames != COLUMNS[path.name] or not rows or not whole:
        raise UserError(f"{path}: not a whole table of `evaluate`{REMEDY}")
    return rows
