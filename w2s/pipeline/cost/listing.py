"""`python -m w2s cost`: what the next run keeps, what it computes, and what that takes on this machine."""

import json
import math
import os
import shlex
import subprocess
import sys
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from heapq import heappop, heappush
from statistics import fmean
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from tqdm import tqdm

from w2s.core import files
from w2s.core.checks import load
from w2s.core.errors import UserError
from w2s.core.grid import setting_blocks, task_blocks
from w2s.core.params import Embedded, Hub, Params
from w2s.pipeline import dvc
from w2s.pipeline.cost.outlook import Plan, Status
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
    status: Status
    cost: Cost = NOTHING
    name: str = field(default="", compare=False)  # in dvc.yaml
    after: frozenset[str] = field(default=frozenset(), compare=False)  # names of those it waits for


@dataclass(frozen=True)
class Engine:
    """What DVC itself takes, in seconds."""

    start: float  # of a `dvc repro`, or of a worker process
    record: float  # to write dvc.lock anew: `dvc repro` does so after every stage, `reproduce` once


def run(jobs: int) -> None:
    """Print the list, its totals, and what they rest on."""
    params = load()
    surveyed, engine = survey(params)
    running = [step for step in surveyed if step.status is Status.RUN]
    sizes = {task: parts(task, params, running) for task in task_blocks(params.grid)}
    found = calibrated(params, running, sizes, jobs) if running else None

    def priced(step: Step) -> Step:
        price = cost(step.kind, step.item, params, sizes, found) if found and step.status is Status.RUN else NOTHING
        return replace(step, cost=price)

    steps = [priced(step) for step in surveyed]
    print(*table(steps), "", *totals(steps, engine, jobs), *remarks(params, steps, found), sep="\n")


# What will run


def survey(params: Params) -> tuple[list[Step], Engine]:
    """The graph's stages in an order in which they could run, with what becomes of them."""
    with dvc.opened() as repo:
        upstream = dvc.upstream(repo)
        stages = dvc.stages(repo)
        start = time.process_time()  # a `dvc repro` comes as far as this, and waits for nothing
        plan = Plan(repo, params)
        steps = []
        for name in TopologicalSorter(upstream).static_order():
            kind, *values = shlex.split(stages[name].cmd.removeprefix("python -m stages."))
            item = dict(zip(AXES[kind], values, strict=True))
            steps.append(Step(kind, item, plan.status(stages[name]), name=name, after=frozenset(upstream[name])))
        return steps, Engine(start, dvc.seconds_to_record(list(stages.values()), ENTRIES))


# What that takes


def calibrated(params: Params, running: Sequence[Step], sizes: dict[str, dict[str, int]], jobs: int) -> Measures:
    """This machine's measures, by processes side by side, as the workers of `reproduce` will be."""
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
    command = [sys.executable, "-m", "w2s.pipeline.cost.calibration"]
    quiet = os.environ | {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}  # nothing is fetched
    # Before workers disturb it: `evaluate` runs alone.
    measure = {setting: measuring(params, words=setting == "generation") for setting in setting_blocks(params.grid)}
    bar = tqdm(total=2 + sum(map(len, asked.values())), desc="measuring this machine", leave=False, dynamic_ncols=True)
    results: dict[tuple[str, Any], list[Any]] = defaultdict(list)
    with TemporaryFile("w+") as errors, bar:
        processes = [
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=quiet, text=True
            )
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
    """The mean of what processes measured, key by key; what they agree on stays as it is."""
    first = values[0]
    if isinstance(first, dict):
        return {key: _mean([value[key] for value in values]) for key in first}
    return first if all(value == first for value in values) else fmean(values)


def parts(task: str, params: Params, running: Iterable[Step]) -> dict[str, int]:
    """Numbers of examples in the parts of a task, and of its unlabelled texts: as prepared, or as wanted if that is
    still to be done.
    """
    source, texts = files.source(task), files.texts(task)
    if source.exists() and texts.exists() and Step("prepare", {"task": task}, Status.RUN) not in running:
        counted: dict[str, int] = json.loads(source.read_text())["examples"]
        return counted | {"texts": pq.read_metadata(texts).num_rows}
    return {part: getattr(params.split, part) for part in files.PARTS} | {"texts": 2 * params.split.student}


# The list


def table(steps: Iterable[Step]) -> list[str]:
    """One line a group of stages, under a header."""
    rows = [HEADER]
    for kind in AXES:
        for what, group in folded([step for step in steps if step.kind == kind]):
            counts = Counter(step.status for step in group)
            state = ", ".join(f"{counts[status]} {status.value}" for status in Status if counts[status])
            costs = [step.cost for step in group if step.status is Status.RUN]
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


def totals(steps: Sequence[Step], engine: Engine, jobs: int) -> Iterator[str]:
    """What all of it comes to, one stage at a time and several."""
    cells = Counter(step.status for step in steps if step.kind == "student")
    cached = cells[Status.KEPT] + cells[Status.CACHED]
    yield f"{cached} of {cells.total()} cells (task, weak, strong, method, seed) are cached."
    if all(step.status is Status.KEPT for step in steps):
        yield "Everything is up to date."
        return
    tokens, flops = sum(step.cost.tokens for step in steps), sum(step.cost.flops for step in steps)

    writes = sum(step.status is not Status.KEPT for step in steps)
    alone = engine.start + engine.record * writes + sum(step.cost.seconds for step in steps)
    wall, memory = simulated(steps, jobs)
    together = engine.start + engine.record + wall
    if tokens or flops:
        learned = si(tokens).strip() or "no"
        yield f"To compute: {learned} tokens of training, {si(flops)}FLOPs, {si(memory)}B of memory at a time."
    several = f", {duration(together)} by `make reproduce JOBS={jobs}`" if jobs > 1 else ""
    yield f"Time: {duration(alone)} by `dvc repro`{several}."


def simulated(steps: Sequence[Step], jobs: int) -> tuple[float, float]:
    """Seconds until all is done and bytes at the peak, where each stage starts as soon as it can, `jobs` at a time."""
    sorter = TopologicalSorter({step.name: step.after for step in steps})
    sorter.prepare()
    costs = {step.name: step.cost for step in steps}
    waiting: deque[str] = deque()
    running: list[tuple[float, str]] = []
    now = peak = 0.0
    while sorter.is_active():
        waiting.extend(sorter.get_ready())
        while waiting and len(running) < jobs:
            name = waiting.popleft()
            heappush(running, (now + costs[name].seconds, name))
        peak = max(peak, sum(costs[name].memory for _, name in running))
        now, name = heappop(running)
        sorter.done(name)
    return now, peak


def remarks(params: Params, steps: Sequence[Step], found: Measures | None) -> Iterator[str]:
    """What the estimate rests on, as far as that is not plain."""
    if not found:
        return
    if any(step.status is not Status.RUN for step in steps):
        yield "A stage after one to run counts as to run, too; if its inputs come out as before, DVC will skip it."
    said: dict[str, dict[str, None]] = defaultdict(dict)
    for tuned in found.finetune.values():
        for subject, text in tuned.notes:
            said[text][subject] = None
    for step in steps:
        model = params.models.get(step.item.get("model", ""))
        if step.kind == "base" and step.status is Status.RUN and isinstance(model, Hub):
            said["fetching is not in the time"][f"{step.item['model']} ({si(4 * model.parameters)}B in fp32)"] = None
        if step.kind == "prepare" and step.status is Status.RUN and step.item["task"] not in found.prepare:
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
