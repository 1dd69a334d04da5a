"""Whether the results just computed are the committed ones; run after `dvc repro`.

Results of the same folder are compared, `grid.reports` of the parameters here.
*Bit-identical*: every trained output has the md5 that the committed dvc.lock records, and results.csv is equal.
*Equal results*: results.csv is equal; the committed dvc.lock lacks outputs trained here, so bits cannot be compared.
*Within intervals*: the same grid, and every accuracy over seeds lies in its committed interval.
*Not reproduced*: anything else. Only numbers decide; parameters that differ are listed as an explanation.
"""

import csv
import io
import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from tabulate import tabulate

from w2s.core.errors import UserError
from w2s.core.params import PARAMS
from w2s.results.collect import ModelKey
from w2s.results.tables import COLUMNS

LOCK = "dvc.lock"
REPORTS = "grid.reports"  # the parameter for the folder of results
BASES = "models/base/"
# Where the outputs of training lie; models/ has weights where they are kept.
TRAINED = ("data/weak_labels/", "runs/", BASES, "models/supervisor/", "models/ceiling/", "models/student/")
MAX_LINES = 10  # of any list

Row = dict[str, str]
Model = tuple[str, ModelKey]  # of a task


class Cell(NamedTuple):
    """One combination of the grid."""

    task: str
    weak: str
    strong: str
    method: str
    ceiling: str  # the method of the ceiling it is compared with
    seed: str

    def models(self) -> tuple[Model, Model, Model]:
        """Supervisor, ceiling and student, whose accuracies decide."""
        return (
            (self.task, ModelKey("supervisor", weak=self.weak)),
            (self.task, ModelKey("ceiling", strong=self.strong, method=self.ceiling)),
            (self.task, ModelKey("student", self.weak, self.strong, self.method)),
        )


class Interval(NamedTuple):
    """A number of the summary."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Results:
    """The results of one run of the pipeline: the one here, or the committed one."""

    results: str  # results.csv, as text
    cells: list[Cell]
    accuracies: dict[Model, Interval]  # over seeds; supervisors, then ceilings, then students
    pgr: dict[Model, Interval | str]  # of students; the reason where it is undefined
    trained: dict[str, str]  # output of a training stage → md5
    params: dict[str, Any]  # dotted key → value


def run() -> int:
    """Print the results and the verdict; the exit code is 1 if the committed results were not reproduced."""
    params = dict(_dotted(_yaml(_read(PARAMS), PARAMS)))
    reports = Path(str(params.get(REPORTS, "reports")))
    names = (str(reports / "results.csv"), str(reports / "summary.csv"), LOCK, PARAMS)
    here = parse({name: _read(name) for name in names})
    if not any(Path(path).exists() for path in here.trained):
        raise UserError("nothing has been trained here (these reports came with git): run `dvc repro` first")
    print(*table(here), "", sep="\n")
    files = {name: _read_committed(name) for name in names}
    files[LOCK] = files[LOCK] or "stages: {}"
    if not all(files.values()):
        print("Verdict: no committed results to compare with.")
        return 0
    committed = parse(files, "HEAD:")
    reproduced, lines = compare(here, committed)
    print(*lines, *explain(here, committed), sep="\n")
    return 0 if reproduced else 1


def table(results: Results) -> list[str]:
    """Supervisor → student → ceiling and PGR, one line a task, pair and method."""
    rows = []
    reasons = list(dict.fromkeys(pgr for pgr in results.pgr.values() if isinstance(pgr, str)))
    for cell in dict.fromkeys(cell._replace(seed="") for cell in results.cells):
        supervisor, ceiling, student = cell.models()
        accuracies = [results.accuracies[model].value for model in (supervisor, student, ceiling)]
        match results.pgr[student]:
            case Interval(value, low, high):
                pgr = f"{value:.2f} [{low:.2f}, {high:.2f}]"
            case reason:
                pgr = f"n/a ({reasons.index(str(reason)) + 1})"
        rows.append([cell.task, cell.weak, cell.strong, cell.method, *accuracies, pgr])
    confidence = f"{results.params.get('evaluate.confidence', 0.95):.0%}"
    headers = ["task", "weak", "strong", "method", "supervisor", "student", "ceiling", "PGR"]
    return [
        f"Accuracy on test inputs (mean over seeds), and performance gap recovered with its {confidence} interval",
        "",
        *_lines(rows, headers, ".3f"),
        *(f"  ({number}) no PGR: {reason}" for number, reason in enumerate(reasons, 1)),
    ]


def compare(here: Results, committed: Results) -> tuple[bool, list[str]]:
    """Whether the results were reproduced, and the verdict in words."""
    trained = here.trained.keys() | committed.trained.keys()
    changed = [path for path in trained if here.trained.get(path) != committed.trained.get(path)]
    same_table = here.results == committed.results
    if not changed and same_table:
        return True, [
            f"Verdict: BIT-IDENTICAL. All {len(trained)} trained outputs and results.csv are the committed ones."
        ]
    compared = f"{len(changed)} of {len(trained)} trained outputs differ in bits"
    unknown = here.trained.keys() - committed.trained.keys()
    if unknown:
        compared = f"Bits not compared: the committed {LOCK} lacks {len(unknown)} of {len(trained)} trained outputs"
    bits = f"  {compared}; results.csv {'is equal' if same_table else 'differs'}."
    if unknown and same_table:
        return True, ["Verdict: EQUAL RESULTS. results.csv is the committed one.", bits]

    old = committed.accuracies
    new = here.accuracies
    both = [model for model in old if model in new]
    outside = [model for model in both if not old[model].low <= new[model].value <= old[model].high]
    missing = [["committed only", *cell] for cell in committed.cells if cell not in here.cells]
    missing += [["here only", *cell] for cell in here.cells if cell not in committed.cells]
    if not outside and not missing:
        return True, [f"Verdict: WITHIN INTERVALS. All {len(both)} accuracies lie in their committed intervals.", bits]

    lines = [
        f"Verdict: NOT REPRODUCED. {len(outside)} of {len(both)} accuracies lie outside their committed intervals.",
        bits,
    ]
    if outside:
        rows = []
        for model in outside:
            interval = f"{old[model].value:.4f} [{old[model].low:.4f}, {old[model].high:.4f}]"
            rows.append([model[0], *model[1], new[model].value, interval])
        headers = ["task", *ModelKey._fields, "here", "committed"]
        lines += ["", *_shortened(_lines(rows, headers, ".4f"), headings=1)]
    if missing:
        lines += ["", f"The grids differ; cells that were not compared ({len(missing)}):"]
        lines += _shortened(_lines(missing, ["", *Cell._fields]), headings=1)
    return False, lines


def explain(here: Results, committed: Results) -> list[str]:
    """What may explain other numbers: base models that differ in bits, and parameters that differ."""
    bases = [path for path in committed.trained if path.startswith(BASES) and path in here.trained]
    changed = [path.removeprefix(BASES) for path in bases if here.trained[path] != committed.trained[path]]
    lines = []
    if changed:
        lines = [
            "",
            f"Base models that differ in bits: {', '.join(changed)}. They were pretrained on another processor, or by",
            "changed parameters or code; how far that alone moves accuracies is not part of the committed intervals.",
        ]
    if here.params.get(REPORTS) != committed.params.get(REPORTS):
        # The committed params.yaml is not the one of the results committed in this folder.
        return lines
    differing = []
    for key in dict.fromkeys([*committed.params, *here.params]):
        old, new = (json.dumps(of.params[key]) if key in of.params else "absent" for of in (committed, here))
        if old != new:
            differing.append(f"  {key}: {old} -> {new}")
    if differing:
        heading = "Parameters that differ, committed -> here (a variant is not a reproduction):"
        lines += ["", heading, *_shortened(differing)]
    return lines


def parse(files: dict[str, str], revision: str = "") -> Results:
    """Results from the texts of results.csv, summary.csv, the lock and the parameters, in this order.

    `revision` ("HEAD:") goes before a file's name in errors.
    """
    results_path, summary_path, lock_path, params_path = files
    results = _rows(files[results_path], results_path, revision)
    cells = [Cell(*(row[column] for column in Cell._fields)) for row in results]
    summary = {
        (row["task"], ModelKey(*(row[column] for column in ModelKey._fields)), row["metric"]): row
        for row in _rows(files[summary_path], summary_path, revision)
    }
    supervisors, ceilings, students = zip(*(cell.models() for cell in cells), strict=True)
    try:
        accuracies = {model: _interval(summary[*model, "accuracy"]) for model in supervisors + ceilings + students}
        recovered = {model: summary[*model, "pgr"] for model in students}
        pgr = {model: row["reason"] or _interval(row) for model, row in recovered.items()}
    except (KeyError, ValueError):
        raise UserError(f"{revision}{summary_path}: does not fit {results_path}{_remedy(revision)}") from None
    lock = _yaml(files[lock_path], revision + lock_path)
    try:
        outputs = [output for stage in lock["stages"].values() for output in stage.get("outs", [])]
        trained = {output["path"]: output["md5"] for output in outputs if output["path"].startswith(TRAINED)}
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{revision}{lock_path}: not a lock file of DVC") from None
    params = dict(_dotted(_yaml(files[params_path], revision + params_path)))
    return Results(files[results_path], cells, accuracies, pgr, trained, params)


def _rows(text: str, path: str, revision: str) -> list[Row]:
    """A table's rows, or an error if it is not whole."""
    reader = csv.DictReader(io.StringIO(text))
    rows = list(reader)
    # csv fills a row of too few fields with None, and puts those too many under the key None.
    whole = all(None not in row and None not in row.values() for row in rows)
    if reader.fieldnames != COLUMNS[Path(path).name] or not rows or not whole:
        raise UserError(f"{revision}{path}: not a whole table of `evaluate`{_remedy(revision)}")
    return rows


def _remedy(revision: str) -> str:
    return "; nothing to compare with" if revision else "; delete it, and `dvc repro` makes it anew"


def _interval(row: Row) -> Interval:
    return Interval(*(float(row[column]) for column in Interval._fields))


def _yaml(text: str, name: str) -> Any:
    try:
        # The loader in C: the lock file of a large grid is long.
        return yaml.load(text, yaml.CSafeLoader)
    except yaml.YAMLError:
        raise UserError(f"{name}: not YAML") from None


def _dotted(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from _dotted(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, tree


def _read(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{name} does not exist, so there are no results yet: run `dvc repro` first") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{name}: cannot be read ({error})") from None


def _read_committed(name: str) -> str:
    """A file as HEAD has it; empty if it does not."""
    try:
        inside = subprocess.run(["git", "rev-parse", "--git-dir"], capture_output=True, check=False)
        shown = subprocess.run(["git", "show", f"HEAD:./{name}"], capture_output=True, check=False)
    except FileNotFoundError:
        raise UserError("git is not installed, so the committed results cannot be read") from None
    if inside.returncode:
        raise UserError(f"{Path.cwd()} is not in a git repository, so there are no committed results")
    return "" if shown.returncode else shown.stdout.decode("utf-8", "replace")


def _lines(rows: Sequence[Sequence[object]], headers: Sequence[str], floats: str = "g") -> list[str]:
    """A text table, indented; columns of text are left as they are even where they look like numbers."""
    text = [column for column, cell in enumerate(rows[0]) if isinstance(cell, str)]
    content = tabulate(rows, headers, tablefmt="plain", floatfmt=floats, disable_numparse=text)
    return [f"  {line}".rstrip() for line in content.splitlines()]


def _shortened(lines: list[str], headings: int = 0) -> list[str]:
    """The headings, at most `MAX_LINES` lines, and how many more there are."""
    shown = headings + MAX_LINES
    more = len(lines) - shown
    return lines[:shown] + ([f"  ... and {more} more"] if more > 0 else [])
