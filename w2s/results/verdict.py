"""Whether the results just computed are the committed ones; run after `dvc repro`.

Results of the same folder are compared, `grid.reports` of the parameters here, with those of HEAD. There are four
levels (`LEVELS`), and only the last is a failure. Parameters, versions and processors that differ are listed as an
explanation.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

import yaml

from w2s.core.errors import UserError
from w2s.core.params import PARAMS
from w2s.results import answers, claims, lock, overview
from w2s.results.answers import Answered, Cell
from w2s.results.text import lines, shortened

LOCK = "dvc.lock"
GRAPH = "dvc.yaml"
REPORTS = "grid.reports"  # the parameter for the folder of results
ENVIRONMENT = "environment.json"
OF_MACHINE = ("report.html", ENVIRONMENT)  # name the machine, and so need only be there
SAME = 0.999  # share of predictions
LEVELS = {
    "BIT-IDENTICAL": "Every trained output and every file of the report is the committed one to the bit.",
    "THE SAME ANSWERS": f"At least {SAME:.1%} of all predictions say the same, and every claim's verdict is unchanged.",
    "WITHIN THE INTERVAL OF A NEW REPLICATE": "Each model that answers otherwise is as accurate as under a new seed.",
    "NOT REPRODUCED": "Models are more or less accurate than under a new seed, or parameters or cells are other ones.",
}
IDENTICAL, ANSWERS, REPLICATE, FAILED = LEVELS
CATALOGUES = ("tasks", "models", "methods")
OUTSIDE, INSIDE = "outside", "within"  # the interval of a new replicate


class Results(NamedTuple):
    """The results of one run of the pipeline: the one here, or the committed one."""

    answers: dict[Cell, Answered]
    claims: dict[tuple[str, str], str]  # claim and setting → verdict, where it is tested
    stages: lock.Stages
    outputs: dict[str, str]  # of stages, those that were drawn, trained or predicted → md5
    params: dict[str, Any]  # dotted key → value
    environment: Mapping[str, str]


def run(environment: Mapping[str, str]) -> int:
    """Print the results and the verdict; the exit code is 1 if the committed results were not reproduced.

    `environment` is that of this machine, by name.
    """
    params = dict(_dotted(_yaml(_read(PARAMS), PARAMS)))
    reports = Path(str(params.get(REPORTS, "reports")))
    names = [str(reports / answers.FILE), str(reports / claims.FILE), LOCK, PARAMS]
    here = parse({name: _read(name) for name in names}, environment)
    confidence = float(params.get("evaluate.confidence", 0.95))
    if not any(Path(path).exists() for path in here.outputs):
        raise UserError("nothing has been trained here (these reports came with git): run `dvc repro` first")
    print(*overview.table(reports, confidence), "", sep="\n")
    files = {name: _read_committed(name) for name in names}
    files[LOCK] = files[LOCK] or b"stages: {}"
    if not all(files.values()):
        print("Verdict: no committed results to compare with.")
        return 0
    recorded = _read_committed(str(reports / ENVIRONMENT))
    committed = parse(files, json.loads(recorded) if recorded else {}, "HEAD:")
    graph = _yaml(_read(GRAPH), GRAPH)["stages"]
    level, found = compare(here, committed, _changed(graph, reports), confidence)
    print(f"Verdict: {level}. {LEVELS[level]}", *found, sep="\n")
    if level != IDENTICAL:
        print(*lock.first_difference(here.stages, committed.stages, list(graph)), sep="\n")
    print(*explain(here, committed), *environments(here, committed), sep="\n")
    return int(level == FAILED)


def compare(here: Results, committed: Results, changed: list[str], confidence: float) -> tuple[str, list[str]]:
    """The level of `LEVELS`, and in words what it rests on.

    `changed` are the files of the report that are not the committed ones.
    """
    paths = here.outputs.keys() | committed.outputs.keys()
    lacking = here.outputs.keys() - committed.outputs.keys()
    differing = [path for path in paths if here.outputs.get(path) != committed.outputs.get(path)]
    bits = f"  {len(differing)} of {len(paths)} trained outputs differ in bits"
    if lacking:
        bits = f"  Bits not compared: the committed {LOCK} lacks {len(lacking)} of {len(paths)} trained outputs"
    found = [f"{bits}; {len(changed)} files of the report are missing or differ{':' if changed else '.'}"]
    found += shortened([f"    {name}" for name in changed])
    if not differing and not changed:
        return IDENTICAL, found

    missing = [["committed only", *cell] for cell in committed.answers if cell not in here.answers]
    missing += [["here only", *cell] for cell in here.answers if cell not in committed.answers]
    if missing:
        found.append(f"  The grids differ; cells that were not compared ({len(missing)}):")
        return FAILED, found + shortened(lines(missing, ["", *Cell._fields]), headings=1)

    total = sum(len(cell.answers) for cell in committed.answers.values())
    different = sum(cell.different(here.answers[name]) for name, cell in committed.answers.items())
    verdicts = committed.claims.items() ^ here.claims.items()
    names = sorted({" in ".join(filter(None, claim)) for claim, _ in verdicts})
    found.append(f"  {different} of {total} predictions differ.")
    found += [f"  Claims whose verdict changed: {', '.join(names)}."] * bool(names)
    if different <= (1 - SAME) * total and not names:
        return ANSWERS, found

    moved = sorted(_moved(here, committed, confidence))  # first those outside
    outside = sum(row[0] == OUTSIDE for row in moved)
    if moved:
        found.append(f"  {len(moved)} models answer otherwise, {outside} of them outside the interval of new seeds:")
        headings = ["", *Cell._fields[:-1], "seeds", "here", "committed", "interval"]
        found += shortened(lines(moved, headings, ".4f"), headings=1)
    variant = any(_matters(key, here) for key in _altered(here, committed))
    found += ["  Parameters that they depend on are other ones: a variant is not a reproduction."] * variant
    return FAILED if outside or variant else REPLICATE, found


def _moved(here: Results, committed: Results, confidence: float) -> Iterator[list[object]]:
    """Models with other answers here, and whether their mean accuracy lies where that of new seeds would.

    By n committed seeds of mean m and standard deviation s, k new ones have a mean in m ± t · s · √(1/k + 1/n). The k
    seeds here are those under which more than 0.1 % of the answers differ. Of one seed nothing can be predicted: its
    accuracy must be the same to 1e-9.
    """
    from scipy.stats import t  # takes a second

    models: dict[Cell, dict[str, Answered]] = {}
    for name, answered in committed.answers.items():
        models.setdefault(name._replace(seed=""), {})[name.seed] = answered
    for model, seeds in models.items():
        ours = {seed: here.answers[model._replace(seed=seed)] for seed in seeds}
        other = [seed for seed in seeds if seeds[seed].different(ours[seed]) > (1 - SAME) * len(seeds[seed].answers)]
        if not other:
            continue
        values = [answered.accuracy for answered in seeds.values()]
        accuracy = fmean(ours[seed].accuracy for seed in other)
        width = 1e-9
        if len(values) > 1:
            spread = stdev(values) * (1 / len(other) + 1 / len(values)) ** 0.5
            width += float(t.ppf((1 + confidence) / 2, len(values) - 1)) * spread
        low, high = fmean(values) - width, fmean(values) + width
        place = INSIDE if low <= accuracy <= high else OUTSIDE
        before = fmean(seeds[seed].accuracy for seed in other)
        yield [place, *model[:-1], " ".join(other), accuracy, before, f"[{low:.4f}, {high:.4f}]"]


def explain(here: Results, committed: Results) -> list[str]:
    """The parameters that differ."""
    altered = _altered(here, committed)
    if not altered:
        return []
    return [
        "",
        "Parameters that differ, committed -> here:",
        *shortened([f"  {key}: {how}" for key, how in altered.items()]),
    ]


def _altered(here: Results, committed: Results) -> dict[str, str]:
    """The parameters that differ and how; the grid's only if the committed grid is of the same folder of results."""
    same_grid = here.params.get(REPORTS) == committed.params.get(REPORTS)
    altered = {}
    for key in dict.fromkeys([*committed.params, *here.params]):
        old, new = (json.dumps(of.params[key]) if key in of.params else "absent" for of in (committed, here))
        if old != new and (same_grid or not key.startswith("grid.")):
            altered[key] = f"{old} -> {new}"
    return altered


def _matters(key: str, here: Results) -> bool:
    """Whether a result may depend on a parameter: not on the grid, or on catalogue entries that no cell names."""
    catalogue, name, *_ = [*key.split("."), ""]
    if catalogue in CATALOGUES:
        return any(name in cell for cell in here.answers) or name in here.params.get("grid.ladder", [])
    return catalogue != "grid"


def environments(here: Results, committed: Results) -> list[str]:
    """Processor, instruction set and versions of both sides; what differs has a line for each."""
    found = ["", "Computed here, and where the committed report was:"]
    for name in dict.fromkeys([*here.environment, *committed.environment]):
        ours, theirs = (of.environment.get(name, "unknown") for of in (here, committed))
        found.append(f"  {name}: {ours}" if ours == theirs else f"  {name}: {ours} (here)")
        found += [f"  {' ' * len(name)}  {theirs} (committed)"] * (ours != theirs)
    return found


def parse(files: Mapping[str, bytes], environment: Mapping[str, str], revision: str = "") -> Results:
    """Results from the contents of answers, claims, lock and parameters, in this order.

    `revision` ("HEAD:") goes before a file's name in errors.
    """
    predicted, claimed, locked, parameters = (revision + name for name in files)
    contents = list(files.values())
    try:
        rows = json.loads(contents[1])["claims"]
        # A claim that the grid does not test may have been unknown to the other side.
        verdicts = {(row["id"], row["setting"]): row["verdict"] for row in rows if row["verdict"] != "not tested"}
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{claimed}: not the claims that `evaluate` judged") from None
    stages = (_yaml(contents[2], locked) or {}).get("stages")
    if not isinstance(stages, dict):
        raise UserError(f"{locked}: not a lock file of DVC")
    return Results(
        answers=answers.parse(contents[0], predicted),
        claims=verdicts,
        stages=stages,
        outputs=lock.outputs(stages, locked),
        params=dict(_dotted(_yaml(contents[3], parameters))),
        environment=environment,
    )


def _changed(graph: Mapping[str, Any], reports: Path) -> list[str]:
    """The files of the report that are missing here, or not as HEAD has them."""
    outs = [out for name in ("evaluate", "plot") for out in graph[name]["outs"] + graph[name].get("metrics", [])]
    paths = [next(iter(out)).replace("${grid.reports}", str(reports)) for out in outs]
    changed = _git("diff", "HEAD", "--no-renames", "--name-only", "--relative", "-z", "--", *paths)
    changed += _git("ls-files", "--others", "--exclude-standard", "-z", "--", *paths)
    names = filter(None, changed.decode().split("\0"))
    return [name for name in names if not (Path(name).name in OF_MACHINE and Path(name).exists())]


def _yaml(text: bytes, name: str) -> Any:
    try:
        # The loader in C: the lock file of a large grid is long.
        return yaml.load(text, yaml.CSafeLoader)
    except (yaml.YAMLError, RecursionError):
        raise UserError(f"{name}: not YAML") from None


def _dotted(tree: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from _dotted(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, tree


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{name} does not exist, so there are no results yet: run `dvc repro` first") from None
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error})") from None


def _read_committed(name: str) -> bytes:
    """A file as HEAD has it; empty if it does not."""
    if not _git("rev-parse", "--git-dir"):
        raise UserError(f"{Path.cwd()} is not in a git repository, so there are no committed results")
    return _git("show", f"HEAD:./{name}")


def _git(*arguments: str) -> bytes:
    """What git prints; nothing where it fails."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        raise UserError("git is not installed, so the committed results cannot be read") from None
    return b"" if done.returncode else done.stdout
