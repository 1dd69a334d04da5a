"""One process of a calibration: it times short runs of the pipeline's own code on the pipeline's own shapes.

`calibration` calls these functions, `start` first, in a process made for them.
"""

import os
import time
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from w2s.core.checks import load
from w2s.pipeline.cost import samples
from w2s.pipeline.cost.measures import FinetuningSpeed, Machine, Place, PretrainingSpeed, TextSpeed
from w2s.pipeline.cost.samples import Sample

if TYPE_CHECKING:
    from w2s.pipeline.cost.speed import Bench

params = cache(load)
# Of tasks that are to be prepared; other tasks' are read from their files.
drawn: dict[str, Sample] = {}


def begin(gpu: str) -> None:
    """Use this GPU, if one is named, and show no warnings; what fails is raised in the process that asked."""
    if gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def start(sent: float) -> Machine:
    """What a stage takes to start; this process was asked for at `sent`, in seconds since the epoch."""
    params()
    light = time.time() - sent
    from w2s.pipeline.cost.speed import resident  # imports what a training stage does

    return Machine(light=light, heavy=time.time() - sent, memory=resident())


def prepare(task: str) -> float:
    """Seconds to draw a task."""
    seconds, drawn[task] = samples.drawn(task, params())
    return seconds


def pretrain(model: str, folder: Path) -> PretrainingSpeed:
    return bench(folder).pretrain(model)


def finetune(place: Place, folder: Path) -> FinetuningSpeed:
    return bench(folder).finetune(place, sample(place.task))


def learn_texts(place: Place, folder: Path) -> TextSpeed:
    return bench(folder).learn_texts(place, sample(place.task))


@cache
def bench(folder: Path) -> "Bench":
    """A bench in a folder of its own inside `folder`."""
    from w2s.pipeline.cost.speed import Bench

    return Bench(params(), Path(mkdtemp(dir=folder)))


@cache
def sample(task: str) -> Sample | None:
    return drawn.get(task) or samples.prepared(task, params().grid.seeds[0])
