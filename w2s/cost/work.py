"""What each kind of stage computes, and so what it takes on a machine that has been measured."""

import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

from w2s.params import Embedded, Finetune, Params

Notes = list[tuple[str, str]]  # of what, and what was assumed of it or stands against it

AXES = {  # what each kind of stage is repeated over, in the order of its arguments
    "check": (),
    "prepare": ("task",),
    "base": ("model",),
    "recipe": ("setting", "method"),
    "supervise": ("task", "weak", "seed"),
    "label": ("task", "weak", "seed"),
    "ceiling": ("task", "strong", "method", "seed"),
    "control": ("task", "strong"),
    "student": ("task", "weak", "strong", "method", "seed"),
    "evaluate": (),
    "plot": (),
}


@dataclass(frozen=True)
class Machine:
    """What stages take whatever they compute, in seconds and bytes."""

    light: float  # start of a stage without torch
    heavy: float  # start of a stage with torch
    memory: float  # of a process with torch


@dataclass(frozen=True)
class Pretrained:
    """What a rung takes to pretrain, or a model to finetune on texts without labels, in seconds and bytes."""

    parameters: int
    start: float
    document: float  # of the corpus, to write and encode
    update: float
    tokens: float  # an update
    memory: float  # a document


NOTHING = Pretrained(parameters=0, start=0.0, document=0.0, update=0.0, tokens=0.0, memory=0.0)


@dataclass(frozen=True)
class Tuned:
    """What a model takes to finetune on a task, in seconds and bytes."""

    parameters: int
    start: float
    text: float  # to encode one
    update: float
    read: float  # to predict a text
    tokens: float  # a text
    learn: int  # FLOPs for each weight and token learned from
    memory: float
    notes: Notes


@dataclass(frozen=True)
class Measures:
    """A machine's answers: how long, how large."""

    machine: Machine
    measure: dict[str, float]  # seconds to measure what one model of one seed answers, by setting
    prepare: dict[str, float]  # seconds to draw a task
    base: dict[str, Pretrained]
    finetune: dict[tuple[str, str], Tuned]  # by task and model
    texts: dict[tuple[str, str], Pretrained]  # by task and model, where a method finetunes on texts first


@dataclass(frozen=True)
class Cost:
    """What one stage takes, or several together."""

    seconds: float = 0.0
    tokens: float = 0.0  # learned from
    flops: float = 0.0
    memory: float = 0.0  # bytes at the peak


@dataclass(frozen=True)
class Tuning:
    """Examples that a stage passes through a model."""

    starts: int = 0  # trainings, or loads for prediction alone
    learned: int = 0  # in all trainings and epochs
    updates: int = 0
    read: int = 0  # predicted, without learning
    files: int = 0  # encoded
    texts: int = 0  # updates on texts without labels


def resident() -> int:
    """Bytes that this process held at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def model_of(kind: str, item: dict[str, str]) -> str | None:
    """The model that a stage tunes or asks, if it does."""
    return item["weak"] if kind in ("supervise", "label") else item.get("strong")


def tunings(
    kind: str, item: dict[str, str], params: Params, sizes: dict[str, dict[str, int]]
) -> Iterator[tuple[str, Tuning]]:
    """What a stage passes through each of its models; `sizes` are the numbers of examples of each task's parts."""
    model = model_of(kind, item)
    if model is None:
        return
    task, parts = item["task"], sizes[item["task"]]
    how = params.methods[item["method"]] if kind in ("student", "ceiling") else None
    for rung in params.grid.between(item["weak"], model) if how and how.via and kind == "student" else []:
        yield rung, tuning("rung", params.finetune_for(task, rung), params, parts)
    settings = params.finetune_for(task, model)
    updates = how.texts.epochs * -(-parts["texts"] // settings.batch_size) if how and how.texts else 0
    yield model, replace(tuning(kind, settings, params, parts), texts=updates)


def tuning(kind: str, settings: Finetune, params: Params, sizes: dict[str, int]) -> Tuning:
    """What a stage of this kind passes through one model, but for texts without labels."""
    student, validation, test = sizes["student"], sizes["validation"], sizes["test"]
    if kind == "label":
        return Tuning(starts=1, read=student + validation + test, files=student + validation + test)
    learned = sizes["supervisor"] if kind == "supervise" else student
    watched = test + (validation if kind == "student" else 0)
    asked = {"control": test, "rung": student}.get(kind, 0)  # without learning: zero-shot, and to label anew
    # As the control does: from scratch only where all weights learn.
    trainings = len(params.grid.seeds) * (settings.tune == "full") if kind == "control" else 1
    if settings.tune == "head":  # what a training reads at all, it reads once, before the first update
        read = trainings * (learned + watched) + (asked if kind == "control" else 0)
    else:
        read = trainings * settings.snapshots * watched + asked
    return Tuning(
        starts=trainings + (kind == "control"),
        learned=trainings * settings.epochs * learned,
        updates=trainings * settings.epochs * -(-learned // settings.batch_size),
        read=read,
        files=learned + trainings * watched + asked,
    )


def cost(kind: str, item: dict[str, str], params: Params, sizes: dict[str, dict[str, int]], found: Measures) -> Cost:
    """What a stage takes.

    A token read costs 2 FLOPs a weight, one learned from up to 6 (Kaplan et al., 2020, section 2.1; Hoffmann et al.,
    2022, appendix F); attention's own products are left out, as there.
    """
    machine, grid = found.machine, params.grid
    if kind == "prepare":
        return Cost(machine.light + found.prepare.get(item["task"], 0.0))
    if kind == "evaluate":
        seconds = 0.0
        for setting, block in grid.blocks.items():
            # Of each strong model its ceilings and it from scratch, and once, whatever the seeds, zero-shot.
            strong = len(block.strong) * (len(block.ceilings) + 1 + len(block.weak) * len(block.methods))
            measured = len(grid.seeds) * (len(block.weak) + strong) + len(block.strong)
            seconds += len(block.tasks) * measured * found.measure[setting]
        return Cost(machine.light + seconds)
    if kind == "plot":
        return Cost(machine.light)
    if kind == "base" and item["model"] in found.base:
        rung, made = params.models[item["model"]], found.base[item["model"]]
        assert isinstance(rung, Embedded)
        documents = params.corpora[rung.corpus].documents
        tokens = rung.steps * made.tokens
        return Cost(
            seconds=machine.heavy + made.start + documents * made.document + rung.steps * made.update,
            tokens=tokens,
            flops=6 * made.parameters * tokens,
            memory=machine.memory + documents * made.memory,
        )
    whole = Cost(machine.heavy, memory=machine.memory)  # all of it for check, recipe, and base models of the hub
    for model, passed in tunings(kind, item, params, sizes):
        place = item["task"], model
        one, texts = found.finetune[place], found.texts[place] if passed.texts else NOTHING
        tokens = passed.learned * one.tokens + passed.texts * texts.tokens
        whole = Cost(
            seconds=whole.seconds
            + passed.starts * one.start
            + passed.files * one.text
            + passed.updates * one.update
            + passed.read * one.read
            + texts.start
            + passed.texts * texts.update,
            tokens=whole.tokens + tokens,
            flops=whole.flops + one.parameters * (one.learn * tokens + 2 * passed.read * one.tokens),
            memory=max(whole.memory, machine.memory + one.memory),
        )
    return whole
