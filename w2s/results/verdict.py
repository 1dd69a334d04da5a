"""Are the results just computed the committed ones? Asked after `dvc repro`, answered in one paragraph.

Compared are the results of the same folder, `grid.reports` of the parameters here.
*Bit-identical*: every trained output has the md5 that the committed dvc.lock records, and results.csv is equal.
*Equal results*: results.csv is equal; the committed dvc.lock lacks outputs trained here, so bits cannot be compared.
*Within intervals*: the same grid, and every accuracy over seeds lies in its committed interval.
*Not reproduced*: anything else. The numbers decide; parameters that differ are listed to explain them.
"""

import csv
import io
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from w2s.core.errors import UserError
from w2s.results.collect import ModelKey
from w2s.results.tables import COLUMNS

LOCK, PARAMS = "dvc.lock", "params.yaml"
FOLDER = "grid.reports"  # the parameter that says where results lie
FOLDERS = ("data/weak_labels", "models/base", "models/supervisor", "models/ceiling", "models/student", "models/control")
TRAINED = tuple(f"{folder}/" for folder in FOLDERS)  # where the outputs of training lie
BASES = "models/base/"
SHOWN = 10  # lines of any list

Row = dict[str, str]
Model = tuple[str, ModelKey]  # a task, and the model's place in it


class Cell(NamedTuple):
    """One combination of the grid."""

    task: str
    weak: str
    strong: str
    method: str
    ceiling: str  # the method of the ceiling it is held against
    seed: str

    def models(self) -> tuple[Model, Model, Model]:
        """Whose accuracies decide: supervisor, ceiling, student."""
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
class Side:
    """The results of one run of the pipeline: the one here, or the committed one."""

    results: str  # results.csv, as text
    cells: list[Cell]
    accuracies: dict[Model, Interval]  # over seeds; supervisors, then ceilings, then students
    pgr: dict[Model, Interval | str]  # of students; the reason where it is undefined
    trained: dict[str, str]  # output of a training stage → md5
    params: dict[str, Any]  # dotted key → value


def run() -> int:
    """Print the results and the verdict; the exit code is 1 if the committed results were not reproduced."""
    params = dict(_dotted(_yaml(_here(PARAMS), PARAMS)))
    reports = Path(str(params.get(FOLDER, "reports")))
    names = (str(reports / "results.csv"), str(reports / "summary.csv"), LOCK, PARAMS)
    here = parse({name: _here(name) for name in names})
    if not any(Path(path).exists() for path in here.trained):
        raise UserError("nothing has been trained here (these reports came with git): run `dvc repro` first")
    print(*table(here), "", sep="\n")
    files = {name: _committed(name) for name in names}
    files[LOCK] = files[LOCK] or "stages: {}"
    if not all(files.values()):
        print("Verdict: no committed results to compare with.")
        return 0
    committed = parse(files, "HEAD:")
    reproduced, lines = compare(here, committed)
    print(*lines, *explain(here, committed), sep="\n")
    return 0 if reproduced else 1


def table(side: Side) -> list[str]:
    """Supervisor → student → ceiling and PGR, one line a task, pair and method."""
    rows = [["task", "weak", "strong", "method", "supervisor", "student", "ceiling", "PGR"]]
    notes = list(dict.fromkeys(pgr for pgr in side.pgr.values() if isinstance(pgr, str)))
    for cell in dict.fromkeys(cell._replace(seed="") for cell in side.cells):
        supervisor, ceiling, student = cell.models()
        accuracies = [f"{side.accuracies[model].value:.3f}" for model in (supervisor, student, ceiling)]
        match side.pgr[student]:
            case Interval(value, low, high):
                recovered = f"{value:5.2f} [{low:5.2f}, {high:5.2f}]"
            case reason:
                recovered = f"  n/a ({notes.index(str(reason)) + 1})"
        rows.append([cell.task, cell.weak, cell.strong, cell.method, *accuracies, recovered])
    confidence = f"{side.params.get('evaluate.confidence', 0.95):.0%}"
    return [
        f"Accuracy on test inputs (mean over seeds), and performance gap recovered with its {confidence} interval",
        "",
        *_aligned(rows),
        *(f"  ({number}) no PGR: {note}" for number, note in enumerate(notes, 1)),
    ]


def compare(here: Side, committed: Side) -> tuple[bool, list[str]]:
    """Whether the results were reproduced, and the verdict in words."""
    trained = here.trained.keys() | committed.trained.keys()
    changed = [path for path in trained if here.trained.get(path) != committed.trained.get(path)]
    same_table = here.results == committed.results
    if not changed and same_table:
        return True, [
            f"Verdict: BIT-IDENTICAL. All {len(trained)} trained outputs and results.csv are the committed ones."
        ]
    compared = f"{len(changed)} of {len(trained)} trained outputs differ in bits"
    if unknown := here.trained.keys() - committed.trained.keys():
        compared = f"Bits not compared: the committed {LOCK} lacks {len(unknown)} of {len(trained)} trained outputs"
    bits = f"  {compared}; results.csv {'is equal' if same_table else 'differs'}."
    if unknown and same_table:
        return True, ["Verdict: EQUAL RESULTS. results.csv is the committed one.", bits]

    old, new = committed.accuracies, here.accuracies
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
        rows = [["task", *ModelKey._fields, "here", "committed"]]
        for model in outside:
            interval = f"{old[model].value:.4f} [{old[model].low:.4f}, {old[model].high:.4f}]"
            rows.append([model[0], *model[1], f"{new[model].value:.4f}", interval])
        lines += ["", *_shortened(_aligned(rows), headings=1)]
    if missing:
        lines += ["", f"The grids differ; cells that were not compared ({len(missing)}):"]
        lines += _shortened(_aligned([["", *Cell._fields], *missing]), headings=1)
    return False, lines


def explain(here: Side, committed: Side) -> list[str]:
    """What the numbers alone do not say: other base models to start from, and parameters that differ."""
    bases = [path for path in committed.trained if path.startswith(BASES) and path in here.trained]
    other = [path.removeprefix(BASES) for path in bases if here.trained[path] != committed.trained[path]]
    notes = [
        "",
        f"Base models that differ in bits: {', '.join(other)}. Pretraining took another path here (another processor,",
        "or changed parameters or code); how far that alone moves accuracies is not part of the committed intervals.",
    ]
    lines = []
    if here.params.get(FOLDER) != committed.params.get(FOLDER):
        return notes if other else []  # results of other parameters than those committed beside them
    for key in dict.fromkeys([*committed.params, *here.params]):
        old, new = (json.dumps(side.params[key]) if key in side.params else "absent" for side in (committed, here))
        if old != new:
            lines.append(f"  {key}: {old} -> {new}")
    heading = ["", "Parameters that differ, committed -> here (a variant is not a reproduction):"]
    return (notes if other else []) + (heading + _shortened(lines) if lines else [])


def parse(files: dict[str, str], where: str = "") -> Side:
    """A side from the texts of results, summary, lock and parameters; `where` goes before a file's name in errors."""
    results, summary_of, lock_of, params_of = files
    cells = [Cell(*(row[column] for column in Cell._fields)) for row in _rows(files[results], results, where)]
    summary = {
        (row["task"], ModelKey(*(row[column] for column in ModelKey._fields)), row["metric"]): row
        for row in _rows(files[summary_of], summary_of, where)
    }
    supervisors, ceilings, students = zip(*(cell.models() for cell in cells), strict=True)
    try:
        accuracies = {model: _interval(summary[*model, "accuracy"]) for model in supervisors + ceilings + students}
        recovered = {model: summary[*model, "pgr"] for model in students}
        pgr = {model: row["reason"] or _interval(row) for model, row in recovered.items()}
    except (KeyError, ValueError):
        raise UserError(f"{where}{summary_of}: does not fit {results}{_remedy(where)}") from None
    lock = _yaml(files[lock_of], where + lock_of)
    try:
        outputs = [output for stage in lock["stages"].values() for output in stage.get("outs", [])]
        trained = {output["path"]: output["md5"] for output in outputs if output["path"].startswith(TRAINED)}
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{where}{lock_of}: not a lock file of DVC") from None
    params = dict(_dotted(_yaml(files[params_of], where + params_of)))
    return Side(files[results], cells, accuracies, pgr, trained, params)


def _rows(text: str, path: str, where: str) -> list[Row]:
    """A table's rows, or an error if it is not whole."""
    reader = csv.DictReader(io.StringIO(text))
    rows = list(reader)
    whole = all(None not in row and None not in row.values() for row in rows)  # as many fields as columns
    if reader.fieldnames != COLUMNS[Path(path).name] or not rows or not whole:
        raise UserError(f"{where}{path}: not a whole table of `evaluate`{_remedy(where)}")
    return rows


def _remedy(where: str) -> str:
    return "; nothing to compare with" if where else "; delete it, and `dvc repro` makes it anew"


def _interval(row: Row) -> Interval:
    return Interval(*(float(row[column]) for column in Interval._fields))


def _yaml(text: str, name: str) -> Any:
    try:
        return yaml.load(text, yaml.CSafeLoader)  # in C: the lock file of a large grid is long
    except yaml.YAMLError:
        raise UserError(f"{name}: not YAML") from None


def _dotted(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from _dotted(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, tree


def _here(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{name} does not exist, so there are no results yet: run `dvc repro` first") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{name}: cannot be read ({error})") from None


def _committed(name: str) -> str:
    """A file as HEAD has it; empty if it does not."""
    try:
        inside = subprocess.run(["git", "rev-parse", "--git-dir"], capture_output=True, check=False)
        shown = subprocess.run(["git", "show", f"HEAD:./{name}"], capture_output=True, check=False)
    except FileNotFoundError:
        raise UserError("git is not installed, so the committed results cannot be read") from None
    if inside.returncode:
        raise UserError(f"{Path.cwd()} is not in a git repository, so there are no committed results")
    return "" if shown.returncode else shown.stdout.decode("utf-8", "replace")


def _aligned(rows: list[list[str]]) -> list[str]:
    """Rows under their headings, numbers to the right and text to the left."""
    columns = []
    for cells in zip(*rows, strict=True):
        numbers = all(cell.replace(".", "").isdigit() for cell in cells[1:])
        width = max(map(len, cells))
        columns.append([cell.rjust(width) if numbers else cell.ljust(width) for cell in cells])
    return [("  " + "  ".join(cells)).rstrip() for cells in zip(*columns, strict=True)]


def _shortened(lines: list[str], headings: int = 0) -> list[str]:
    """The headings, at most `SHOWN` lines, and how many more there are."""
    more = len(lines) - headings - SHOWN
    return lines[: headings + SHOWN] + ([f"  ... and {more} more"] if more > 0 else [])
