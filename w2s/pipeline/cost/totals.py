"""What all stages come to, and what the estimate rests on."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from graphlib import TopologicalSorter
from heapq import heappop, heappush

from w2s.core.params import Hub, Params
from w2s.pipeline.cost.measures import Measures
from w2s.pipeline.cost.plan import Status
from w2s.pipeline.cost.survey import Overhead, Step
from w2s.pipeline.cost.table import duration, si

NAMED = 5  # of what a remark is on; the others are counted


def totals(steps: Sequence[Step], overhead: Overhead, jobs: int) -> Iterator[str]:
    """What all of it comes to, one stage at a time and several."""
    cells = Counter(step.status for step in steps if step.kind == "student")
    cached = cells[Status.KEPT] + cells[Status.CACHED]
    yield f"{cached} of {cells.total()} cells (task, weak, strong, method, seed) are cached."
    changed = sum(step.status is not Status.KEPT for step in steps)
    if not changed:
        yield "Everything is up to date."
        return
    tokens = sum(step.cost.tokens for step in steps)
    flops = sum(step.cost.flops for step in steps)
    alone = overhead.start + overhead.record * changed + sum(step.cost.seconds for step in steps)
    wall, memory = in_parallel(steps, jobs)
    together = overhead.start + overhead.record + wall
    if tokens or flops:
        learned = si(tokens).strip() or "no"
        yield f"To compute: {learned} tokens of training, {si(flops)}FLOPs, {si(memory)}B of memory at a time."
    several = f", {duration(together)} by `make reproduce JOBS={jobs}`" if jobs > 1 else ""
    yield f"Time: {duration(alone)} by `dvc repro`{several}."


def in_parallel(steps: Sequence[Step], jobs: int) -> tuple[float, float]:
    """Seconds until all is done and bytes at the peak, where each stage starts as soon as it can, `jobs` at a time.

    One with several processes counts as so many stages.
    """
    sorter = TopologicalSorter({step.name: step.after for step in steps})
    sorter.prepare()
    costs = {step.name: step.cost for step in steps}
    taken = {name: min(cost.processes, jobs) for name, cost in costs.items()}
    waiting: deque[str] = deque()
    running: list[tuple[float, str]] = []
    now = 0.0
    peak = 0.0
    while sorter.is_active():
        waiting.extend(sorter.get_ready())
        while waiting and sum(taken[name] for _, name in running) + taken[waiting[0]] <= jobs:
            name = waiting.popleft()
            heappush(running, (now + costs[name].seconds, name))
        peak = max(peak, sum(costs[name].memory for _, name in running))
        now, name = heappop(running)
        sorter.done(name)
    return now, peak


def remarks(params: Params, steps: Sequence[Step], measures: Measures) -> Iterator[str]:
    """What the estimate rests on, as far as that is not plain."""
    if any(step.status is not Status.RUN for step in steps):
        yield "A stage after one to run counts as to run, too; if its inputs come out as before, DVC will skip it."
    subjects: dict[str, dict[str, None]] = defaultdict(dict)
    for speed in measures.finetune.values():
        for subject, note in speed.notes:
            subjects[note][subject] = None
    for fetched in _fetched(params, steps, measures):
        subjects["fetching is not in the time"][fetched] = None
    for note, names in subjects.items():
        more = len(names) - NAMED
        listed = ", ".join(list(names)[:NAMED])
        yield f"{listed}{f' and {more} more' if more > 0 else ''}: {note}."


def _fetched(params: Params, steps: Sequence[Step], measures: Measures) -> Iterator[str]:
    """What the stages to run fetch from the hub."""
    for step in steps:
        if step.status is not Status.RUN:
            continue
        if step.kind == "base":
            model = params.models[step.item["model"]]
            if isinstance(model, Hub):
                yield f"{step.item['model']} ({si(4 * model.parameters)}B in fp32)"
        if step.kind == "prepare" and step.item["task"] not in measures.prepare:
            yield step.item["task"]
