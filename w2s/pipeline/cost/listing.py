"""`python -m w2s cost`: what the next run keeps, what it computes, and what that takes on this machine."""

import json
import math
import os
import shlex
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

import networkx
import numpy as np
import pyarrow.parquet as pq
from dvc.dependency import ParamsDependency
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc.utils.serialize import dump_yaml, modify_yaml
from tqdm import tqdm

from w2s.core import files
from w2s.core.checks import load
from w2s.core.errors import UserError
from w2s.core.grid import setting_blocks, task_blocks
from w2s.core.params import Embedded, Hub, Params
from w2s.pipeline.cost.outlook import Fate, Outlook
from w2s.pipeline.cost.work import AXES, Cost, Machine, Measures, Pretrained, Tuned, cost, stage_passes
from w2s.results import statistics
from w2s.results.collect import ModelKey, ModelRuns
from w2s.results.measure import measure_model

ENTRIES = 50  # of dvc.lock that are rewritten to see how long that takes
ROWS = 20  # of a kind of stage; a longer list is folded further
FOLDS = {"seed": "seeds", "method": "methods", "weak": "supervisors", "task": "tasks"}  # in this order
NOTHING = Cost()
HEADER = ("stage", "what", "state", "tokens", "FLOPs", "memory", "each", "total")


@dataclass(frozen=True)
class Step:
    """A stage, its place in the grid, what becomes of it, and what that takes."""

    kind: str
    item: dict[str, str]
    fate: Fate
    cost: Cost = NOTHING


@dataclass(frozen=True)
class Engine:
    """What DVC itself takes, in seconds."""

    start: float  # of a `dvc repro`, or of a lane
    record: float  # to write dvc.lock anew: `dvc repro` does so after every stage, a lane once


def run(jobs: int) -> None:
    """Print the list, its totals, and what they rest on."""
    params = load()
    waves, engine = survey()
    running = [step for wave in waves for step in wave if step.fate is Fate.RUN]
    sizes = {task: parts(task, params, running) for task in task_blocks(params.grid)}
    found = calibrated(params, running, sizes, jobs) if running else None

    def priced(step: Step) -> Step:
        price = cost(step.kind, step.item, params, sizes, found) if found and step.fate is Fate.RUN else NOTHING
        return replace(step, cost=price)

    waves = [[priced(step) for step in wave] for wave in waves]
    steps = [step for wave in waves for step in wave]
    print(*table(steps), "", *totals(waves, engine, jobs), *remarks(params, steps, found), sep="\n")


# What will run


def survey() -> tuple[list[list[Step]], Engine]:
    """The graph's stages in waves as `w2s.pipeline.schedule` takes them, with their fates."""
    try:
        with Repo() as repo:
            waves = list(networkx.topological_generations(repo.index.graph.reverse()))
            start = time.process_time()  # a `dvc repro` comes as far as this, and waits for nothing
            outlook = Outlook(repo)
            stages = [[stage for stage in wave if stage.cmd] for wave in waves]  # files under `dvc add` have none
            steps = [[_step(stage, outlook) for stage in wave] for wave in stages]
            return steps, Engine(start, _recording([stage for wave in stages for stage in wave]))
    except DvcException as error:
        raise UserError(str(error)) from None


def _step(stage: PipelineStage, outlook: Outlook) -> Step:
    kind, *values = shlex.split(stage.cmd.removeprefix("python -m stages."))
    return Step(kind, dict(zip(AXES[kind], values, strict=True)), outlook.fate(stage))


def _recording(stages: Sequence[PipelineStage]) -> float:
    """Seconds to rewrite a dvc.lock in which all these stages stand."""
    entries = {}
    for stage in stages[:: -(-len(stages) // ENTRIES)]:
        files = [item for item in [*stage.deps, *stage.outs] if not isinstance(item, ParamsDependency)]
        deps = [{"path": item.def_path, "hash": "md5", "md5": "0" * 32, "size": 0} for item in files]
        params = {dep.def_path: dep.hash_info.value for dep in stage.params}
        entries[stage.name] = {"cmd": stage.cmd, "deps": deps, "params": params}
    with TemporaryDirectory() as folder:
        path = f"{folder}/dvc.lock"
        dump_yaml(path, {"schema": "2.0", "stages": entries})
        start = time.perf_counter()
        with modify_yaml(path) as data:
            data["stages"] |= entries
        return (time.perf_counter() - start) * len(stages) / len(entries)


# What that takes


def calibrated(params: Params, running: Sequence[Step], sizes: dict[str, dict[str, int]], jobs: int) -> Measures:
    """This machine's measures, by processes side by side, as the lanes will be."""
    models = params.models
    passed = [(step.item["task"], one) for step in running for one in stage_passes(step.kind, step.item, params, sizes)]
    places = {
        "finetune": list(dict.fromkeys((task, one.model, one.pace) for task, one in passed)),
        "texts": list(dict.fromkeys((task, one.model, one.pace) for task, one in passed if one.text_updates)),
    }
    asked: dict[str, list[Any]] = {
        "prepare": [step.item["task"] for step in running if step.kind == "prepare"],
        "base": [
            step.item["model"] for step in running if isinstance(models.get(step.item.get("model", "")), Embedded)
        ],
        **{
            kind: [(task, model, pace.model_dump()) for task, model, pace in several]
            for kind, several in places.items()
        },
    }
    lane = [sys.executable, "-m", "w2s.pipeline.cost.calibration"]
    quiet = os.environ | {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}  # nothing is fetched
    # Before lanes disturb it: `evaluate` runs alone.
    measure = {setting: measuring(params, words=setting == "generation") for setting in setting_blocks(params.grid)}
    bar = tqdm(total=2 + sum(map(len, asked.values())), desc="measuring this machine", leave=False, dynamic_ncols=True)
    results: dict[tuple[str, Any], list[Any]] = defaultdict(list)
    with TemporaryFile("w+") as errors, bar:
        processes = [
            subprocess.Popen(lane, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=quiet, text=True)
            for _ in range(max(1, min(jobs, len(running))))
        ]
        for process in processes:
            assert process.stdin
            process.stdin.write(json.dumps(asked | {"born": time.time()}))
            process.stdin.close()
        for process in processes:
            assert process.stdout
            for line in process.stdout:
                kind, name, result = json.loads(line)
                results[kind, name].append(result)
                bar.update(process is processes[0])
            if process.wait():
                for other in processes:
                    other.terminate()
                errors.seek(0)
                raise UserError(errors.read().strip().splitlines()[-1].removeprefix("error: "))
            results["left", ""].append(time.time())
    means = {key: _mean(values) for key, values in results.items()}
    leaving = results["left", ""][0] - results["end", ""][0]
    machine = Machine(**means["machine", ""])

    def of(kind: str) -> dict[Any, Any]:
        """Results of one kind by what was asked."""
        keys = places.get(kind)
        return {keys[name] if keys else name: value for (found, name), value in means.items() if found == kind}

    return Measures(
        replace(machine, heavy=machine.heavy + leaving),
        measure,
        of("prepare"),
        {name: Pretrained(**value) for name, value in of("base").items()},
        {place: Tuned(**value) for place, value in of("finetune").items()},
        {place: Pretrained(**value) for place, value in of("texts").items()},
    )


def measuring(params: Params, words: bool) -> float:
    """Seconds to measure, on all test examples and replicates, what one model of one seed answers."""
    how, tests, rng = params.evaluate, params.split.test, np.random.default_rng(0)
    truth = rng.integers(2, size=tests).astype(int if words else float)
    answers = truth[None] if words else rng.random((1, tests))
    bootstrap = statistics.Bootstrap.draw(tests, len(params.grid.seeds), how.resamples, how.confidence, rng)
    student = ModelRuns(ModelKey("student"), answers, [])
    times = []
    for _ in range(3):
        start = time.perf_counter()
        measure_model(student, student, truth, bootstrap)
        times.append(time.perf_counter() - start)
    return min(times)


def _mean(values: list[Any]) -> Any:
    """The mean of what lanes measured, key by key; what they agree on stays as it is."""
    first = values[0]
    if isinstance(first, dict):
        return {key: _mean([value[key] for value in values]) for key in first}
    return first if all(value == first for value in values) else fmean(values)


def parts(task: str, params: Params, running: Iterable[Step]) -> dict[str, int]:
    """Numbers of examples in the parts of a task, and of its unlabelled texts: as prepared, or as wanted if that is
    still to be done.
    """
    source, texts = files.source(task), files.texts(task)
    if source.exists() and texts.exists() and Step("prepare", {"task": task}, Fate.RUN) not in running:
        counted: dict[str, int] = json.loads(source.read_text())["examples"]
        return counted | {"texts": pq.read_metadata(texts).num_rows}
    return {part: getattr(params.split, part) for part in files.PARTS} | {"texts": 2 * params.split.student}


# The list


def table(steps: Iterable[Step]) -> list[str]:
    """One line a group of stages, under a header."""
    rows = [HEADER]
    for kind in AXES:
        for what, group in folded([step for step in steps if step.kind == kind]):
            fates = Counter(step.fate for step in group)
            state = ", ".join(f"{fates[fate]} {fate.value}" for fate in Fate if fates[fate])
            costs = [step.cost for step in group if step.fate is Fate.RUN]
            seconds = [cost.seconds for cost in costs]
            tokens, flops = sum(cost.tokens for cost in costs), sum(cost.flops for cost in costs)
            memory = max((cost.memory for cost in costs), default=0.0)
            each, total = (duration(fmean(seconds)), duration(sum(seconds))) if costs else ("", "")
            rows.append((kind, what, state, si(tokens), si(flops), f"{si(memory)}B" if memory else "", each, total))
            kind = ""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    form = "  ".join(f"{{:{side}{width}}}" for side, width in zip("<<<>>>>>", widths, strict=True))
    return [form.format(*row).rstrip() for row in rows]


def folded(steps: Sequence[Step]) -> Iterator[tuple[str, list[Step]]]:
    """Stages of one kind in groups with a name, as few as make a readable list; seeds are always folded."""
    folds = [axis for axis in FOLDS if axis != "weak" or any("strong" in step.item for step in steps)]  # not the model
    for count in range(1, len(folds) + 1):
        hidden = folds[:count]
        groups: dict[tuple[str, ...], list[Step]] = defaultdict(list)
        for step in steps:
            groups[tuple(value for axis, value in step.item.items() if axis not in hidden)].append(step)
        if len(groups) <= ROWS:
            break
    for group in groups.values():
        shown = {axis: value for axis, value in group[0].item.items() if axis not in hidden}
        pair = " → ".join(shown.pop(axis) for axis in ("weak", "strong") if axis in shown)
        task = [shown.pop("task")] if "task" in shown else []
        many = {FOLDS[axis]: len({step.item[axis] for step in group}) for axis in hidden if axis in group[0].item}
        counts = [f"× {number} {name}" for name, number in many.items() if number > 1]
        yield " ".join(filter(None, [*task, pair, *shown.values(), *counts])), group


def totals(waves: Sequence[Sequence[Step]], engine: Engine, jobs: int) -> Iterator[str]:
    """What all of it comes to, one stage at a time and in lanes."""
    steps = [step for wave in waves for step in wave]
    cells = Counter(step.fate for step in steps if step.kind == "student")
    cached = cells[Fate.KEPT] + cells[Fate.CACHED]
    yield f"{cached} of {cells.total()} cells (task, weak, strong, method, seed) are cached."
    if all(step.fate is Fate.KEPT for step in steps):
        yield "Everything is up to date."
        return
    tokens, flops = sum(step.cost.tokens for step in steps), sum(step.cost.flops for step in steps)

    def taken(steps: Sequence[Step], records: int) -> float:
        return engine.start + engine.record * records + sum(step.cost.seconds for step in steps)

    alone = taken(steps, sum(step.fate is not Fate.KEPT for step in steps))
    wall = sum(max(taken(wave[first::jobs], records=1) for first in range(jobs)) for wave in waves)
    memory = max(sum(sorted((step.cost.memory for step in wave), reverse=True)[:jobs]) for wave in waves)
    if tokens or flops:
        learned = si(tokens).strip() or "no"
        yield f"To compute: {learned} tokens of training, {si(flops)}FLOPs, {si(memory)}B of memory at a time."
    lanes = f", {duration(wall)} in {jobs} lanes (`make reproduce JOBS={jobs}`)" if jobs > 1 else ""
    yield f"Time: {duration(alone)} by `dvc repro`{lanes}."


def remarks(params: Params, steps: Sequence[Step], found: Measures | None) -> Iterator[str]:
    """What the estimate rests on, as far as that is not plain."""
    if not found:
        return
    if any(step.fate is not Fate.RUN for step in steps):
        yield "A stage after one to run counts as to run, too; if its inputs come out as before, DVC will skip it."
    said: dict[str, dict[str, None]] = defaultdict(dict)
    for tuned in found.finetune.values():
        for subject, text in tuned.notes:
            said[text][subject] = None
    for step in steps:
        model = params.models.get(step.item.get("model", ""))
        if step.kind == "base" and step.fate is Fate.RUN and isinstance(model, Hub):
            said["fetching is not in the time"][f"{step.item['model']} ({si(4 * model.parameters)}B in fp32)"] = None
        if step.kind == "prepare" and step.fate is Fate.RUN and step.item["task"] not in found.prepare:
            said["fetching is not in the time"][step.item["task"]] = None
    for text, subjects in said.items():
        names, more = list(subjects)[:5], len(subjects) - 5
        yield f"{', '.join(names)}{f' and {more} more' if more > 0 else ''}: {text}."


def si(number: float) -> str:
    """A number to three digits with its prefix, ready for a unit; nothing for nothing."""
    power = min(6, int(math.log10(number * 1.00051) // 3)) if number else 0
    return f"{number / 1000**power:.3g} {' kMGTPE'[power].strip()}" if number else ""


def duration(seconds: float) -> str:
    """Seconds in the unit in which they are read best."""
    for name, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {name}"
    return f"{seconds:.0f} s"
