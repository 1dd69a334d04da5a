"""Measures this machine by as many processes at once as will run stages, because they share cores and memory."""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import fields, is_dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
from tqdm import tqdm

from w2s.core.errors import UserError
from w2s.core.grid import setting_blocks
from w2s.core.params import Embedded, Params
from w2s.pipeline.cost import process
from w2s.pipeline.cost.measures import Measures, Place
from w2s.pipeline.cost.survey import Step
from w2s.pipeline.cost.work import Sizes, stage_passes
from w2s.results.collect import ModelKey, ModelRuns
from w2s.results.measure import measure_model
from w2s.results.statistics import Blocks

V = TypeVar("V")


def calibrate(params: Params, running: Sequence[Step], sizes: Sizes, places: Sequence[str]) -> Measures:
    """Measure all that the cost of the running stages follows from; raises `UserError` where a stage would."""
    finetuned: dict[Place, bool] = {}  # and whether on texts, too
    for step in running:
        for one in stage_passes(step.kind, step.item, params, sizes):
            place = Place(step.item["task"], one.model, one.speed_hparams)
            finetuned[place] = finetuned.get(place, False) or one.text_updates > 0
    on_texts = [place for place, with_texts in finetuned.items() if with_texts]
    # Every seed takes as long.
    bases = dict.fromkeys(step.item["model"] for step in running if step.kind == "base")
    embedded = [model for model in bases if isinstance(params.models[model], Embedded)]
    tasks = dict.fromkeys(step.item["task"] for step in running if step.kind == "prepare")
    drawn = [task for task in tasks if "repository" not in params.tasks[task].options]
    total = 1 + len(drawn) + len(embedded) + len(finetuned) + len(on_texts)
    # Before other processes disturb it: `evaluate` runs alone.
    evaluate = {setting: evaluation_seconds(params, setting) for setting in setting_blocks(params.grid)}
    with (
        TemporaryDirectory() as name,
        tqdm(total=total, desc="measuring this machine", leave=False, dynamic_ncols=True) as bar,
    ):
        folder = Path(name)
        pools = Processes(places[: max(1, len(running))], bar)
        try:
            measures = Measures(
                machine=pools.mean(process.start, time.time()),
                evaluate=evaluate,
                prepare={task: pools.mean(process.prepare, task) for task in drawn},
                pretrain={model: pools.mean(process.pretrain, model, folder) for model in embedded},
                finetune={place: pools.mean(process.finetune, place, folder) for place in finetuned},
                texts={place: pools.mean(process.learn_texts, place, folder) for place in on_texts},
            )
        except BrokenProcessPool:
            raise UserError("a process was killed, perhaps for want of memory") from None
        finally:
            ending = pools.close()
    heavy = measures.machine.heavy + ending
    return replace(measures, machine=replace(measures.machine, heavy=heavy))


class Processes:
    """Processes side by side that all measure the same thing at the same time."""

    def __init__(self, places: Sequence[str], bar: tqdm) -> None:
        """One for each of these `slots`."""
        # Libraries read these when a process imports them: nothing is fetched, and there is one bar.
        os.environ |= {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
        # A spawned process would count this one's peak memory as its own.
        context = get_context("forkserver")
        self.pools = [ProcessPoolExecutor(1, context, initializer=process.begin, initargs=(gpu,)) for gpu in places]
        self.bar = bar

    def mean(self, measure: Callable[..., V], *arguments: Any) -> V:
        """The mean, number by number, of what `measure` finds in each process."""
        futures = [pool.submit(measure, *arguments) for pool in self.pools]
        found = [future.result() for future in futures]
        self.bar.update()
        return mean(found)

    def close(self) -> float:
        """Seconds until a process has ended."""
        start = time.perf_counter()
        self.pools[0].shutdown()
        seconds = time.perf_counter() - start
        for pool in self.pools[1:]:
            pool.shutdown()
        return seconds


def mean(values: Sequence[V]) -> V:
    """The mean of floats or, field by field, of dataclasses; anything else is taken from the first."""
    first = values[0]
    if is_dataclass(first) and not isinstance(first, type):
        means = {field.name: mean([getattr(value, field.name) for value in values]) for field in fields(first)}
        return replace(first, **means)
    return fmean(values) if isinstance(first, float) else first  # type: ignore[arg-type, return-value]


def evaluation_seconds(params: Params, setting: str) -> float:
    """Seconds to measure, on all test examples and blocks of them, one model's predictions under one seed."""
    tests = params.split.test
    rng = np.random.default_rng(0)
    in_words = setting == "generation"
    truth = rng.integers(2, size=tests).astype(int if in_words else float)
    answers = truth if in_words else rng.random(tests)
    blocks = Blocks.of_groups([[str(example) for example in range(tests)]])
    student = ModelRuns(ModelKey("student"), [answers], [])
    times = []
    for _ in range(3):
        start = time.perf_counter()
        measure_model(student, student, [truth], blocks)
        times.append(time.perf_counter() - start)
    return min(times)
