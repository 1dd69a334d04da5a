"""The stages of the pipeline, and what the next run does with each."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow.parquet as pq

from w2s.core import files
from w2s.core.grid import task_blocks
from w2s.core.params import Params
from w2s.pipeline import commands, dvc
from w2s.pipeline.cost.plan import Plan, Status
from w2s.pipeline.cost.work import NOTHING, Cost, Parts, Sizes

LOCK_ENTRIES = 50  # of dvc.lock that are rewritten to see how long that takes


@dataclass(frozen=True)
class Step:
    """A stage, what the next run does with it, and what that takes."""

    kind: str  # the script in stages/
    item: dict[str, str]  # its arguments by name
    status: Status
    cost: Cost = NOTHING
    name: str = field(default="", compare=False)  # in dvc.yaml
    after: frozenset[str] = field(default=frozenset(), compare=False)  # names of those it waits for


@dataclass(frozen=True)
class Overhead:
    """What DVC itself takes, in seconds."""

    start: float  # of a `dvc repro`, or of a worker process
    record: float  # to write dvc.lock anew: `dvc repro` does so after every stage, `reproduce` once


def survey(params: Params) -> tuple[list[Step], Overhead]:
    """All stages, in the order of dvc.yaml, and what DVC takes beside them."""
    with dvc.opened() as repo:
        upstream = dvc.upstream(repo)
        stages = dvc.stages(repo)
        # A `dvc repro` comes as far as this, and waits for nothing.
        start = time.process_time()
        plan = Plan(repo, params)
        status = plan.statuses(upstream, stages)
        steps = []
        for name, stage in stages.items():
            kind, item = commands.parsed(stage.cmd)
            steps.append(Step(kind, item, status[name], name=name, after=frozenset(upstream[name])))
        return steps, Overhead(start, dvc.seconds_to_record(list(stages.values()), LOCK_ENTRIES))


def sizes(params: Params, running: Sequence[Step]) -> Sizes:
    """Examples of each task's parts, and its unlabelled texts: as prepared, or as wanted where `prepare` is to run."""
    to_prepare = {step.item["task"] for step in running if step.kind == "prepare"}
    return {task: _parts(task, params, task not in to_prepare) for task in task_blocks(params.grid)}


def _parts(task: str, params: Params, is_prepared: bool) -> Parts:
    # Of one replicate, which stands for all.
    source = files.source(task, params.grid.seeds[0])
    texts = files.texts(task, params.grid.seeds[0])
    if is_prepared and source.exists() and texts.exists():
        counted: Parts = files.read_json(source)["examples"]
        return counted | {"texts": pq.read_metadata(texts).num_rows}
    return {part: getattr(params.split, part) for part in files.PARTS} | {"texts": 2 * params.split.student}
