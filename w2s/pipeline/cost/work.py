"""What each kind of stage computes, and so what it takes on a machine that has been measured."""

import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

from w2s.core.grid import intermediate_models, setting_blocks
from w2s.core.hparams import hparams_for
from w2s.core.params import Embedded, Finetune, Grid, Method, Params

Notes = list[tuple[str, str]]  # of what, and what was assumed of it or stands against it
Place = tuple[str, str, Finetune]  # a task, a model, and the pace at which it is finetuned

AXES = {  # what each kind of stage is repeated over, in the order of its arguments
    "check": (),
    "prepare": ("task",),
    "base": ("model",),
    "method": ("setting", "method"),
    "supervise": ("task", "weak", "seed"),
    "label": ("task", "weak", "seed"),
    "simulate": ("task", "weak", "seed"),
    "ceiling": ("task", "strong", "method", "seed"),
    "control": ("task", "strong"),
    "student": ("task", "weak", "strong", "method", "seed"),
    "evaluate": (),
    "plot": (),
}

ALIKE = {  # settings that decide how much is done, or what comes of it, and not how fast that goes
    **{"keep": "none", "epochs": 1, "snapshots": 1, "learning_rate": 1e-4},
    **{"warmup": 0.1, "weight_decay": 0.01, "clip": 1.0},
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
    finetune: dict[Place, Tuned]
    texts: dict[Place, Pretrained]  # where a method finetunes on texts first


@dataclass(frozen=True)
class Cost:
    """What one stage takes, or several together."""

    seconds: float = 0.0
    tokens: float = 0.0  # learned from
    flops: float = 0.0
    memory: float = 0.0  # bytes at the peak


@dataclass(frozen=True)
class Pass:
    """Examples that a stage passes through one model."""

    model: str
    settings: Finetune
    starts: int = 0  # trainings, or loads for prediction alone
    learned: int = 0  # in all epochs
    updates: int = 0
    read: int = 0  # predicted, without learning
    files: int = 0  # encoded
    texts: int = 0  # updates on texts without labels

    @property
    def pace(self) -> Finetune:
        """What of the settings decides how fast that goes: a measure of it serves whatever the rest is."""
        return self.settings.model_copy(update=ALIKE)


def resident() -> int:
    """Bytes that this process held at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def passes(kind: str, item: dict[str, str], params: Params, sizes: dict[str, dict[str, int]]) -> Iterator[Pass]:
    """What a stage passes through models; `sizes` are the numbers of examples of each task's parts, and of its texts.

    Left out are the features that are kept of some test inputs, and what cleaning itself takes beside features.
    """
    if kind not in ("supervise", "label", "ceiling", "control", "student"):
        return
    task, model = item["task"], item["weak" if kind in ("supervise", "label") else "strong"]
    settings, parts = hparams_for(params, task, model), sizes[task]
    student, validation, test = parts["student"], parts["validation"], parts["test"]
    if kind == "supervise":
        yield _training(model, settings, parts["supervisor"], test)
    elif kind == "label":
        asked = student + validation + test
        yield Pass(model, settings, starts=1, read=asked, files=asked)
    elif kind == "control":
        yield Pass(model, settings, starts=2, read=test, files=student + test)  # zero-shot; its features
        for _ in params.grid.seeds if settings.tune == "full" else []:  # else it trains nothing from scratch
            yield replace(_training(model, settings, student, test), files=test)
    else:
        method, rungs, watched = params.methods[item["method"]].on_truth, [], test
        if kind == "student":
            method, watched = params.methods[item["method"]], test + validation
            rungs = intermediate_models(params.grid, method, item["weak"], model)
        for rung in rungs:
            *before, last = _taught(rung, task, method, params, parts, watched)
            labelled = student + validation  # for the next one; a head alone has read them already
            read = last.read + (labelled if last.settings.tune != "head" else 0)
            yield from [*before, replace(last, read=read, files=last.files + labelled)]
        yield from _taught(model, task, method, params, parts, watched)


def _taught(
    model: str, task: str, method: Method, params: Params, parts: dict[str, int], watched: int
) -> Iterator[Pass]:
    """What a method passes through one model; its own training comes last."""
    settings, student, test = hparams_for(params, task, model, method), parts["student"], parts["test"]
    if method.shots:
        yield Pass(model, settings, starts=1, read=(1 + method.shots) * test, files=(1 + method.shots) * test)
        return
    if method.probe:
        prober = settings.model_copy(update=method.probe.model_dump() | {"tune": "head"})
        yield replace(_training(model, prober, student, test), files=test)
    if method.clean:
        yield Pass(model, settings, starts=1, read=student)
    updates = method.texts.epochs * -(-parts["texts"] // settings.batch_size) if method.texts else 0
    yield replace(_training(model, settings, student, watched), texts=updates)


def _training(model: str, settings: Finetune, learned: int, watched: int) -> Pass:
    updates = settings.epochs * -(-learned // settings.batch_size)
    # Where the head alone learns, every text is read once, before the first update.
    read = learned + watched if settings.tune == "head" else min(settings.snapshots, updates) * watched
    return Pass(
        model,
        settings,
        starts=1,
        learned=settings.epochs * learned,
        updates=updates,
        read=read,
        files=learned + watched,
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
        return Cost(machine.light + sum(count * found.measure[setting] for setting, count in measured(grid).items()))
    if kind in ("simulate", "plot"):
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
    for passed in passes(kind, item, params, sizes):
        place = item["task"], passed.model, passed.pace
        one, texts = found.finetune[place], found.texts[place] if passed.texts else NOTHING
        tokens = passed.learned * one.tokens + passed.texts * texts.tokens
        seconds = passed.starts * one.start + passed.updates * one.update + texts.start + passed.texts * texts.update
        whole = Cost(
            seconds=whole.seconds + seconds + passed.files * one.text + passed.read * one.read,
            tokens=whole.tokens + tokens,
            flops=whole.flops + one.parameters * (one.learn * tokens + 2 * passed.read * one.tokens),
            memory=max(whole.memory, machine.memory + one.memory),
        )
    return whole


def measured(grid: Grid) -> dict[str, int]:
    """How many models `evaluate` measures, each seed of one counted, by setting."""
    counts = {}
    for setting, block in setting_blocks(grid).items():
        # Of each strong model: its ceilings, it from scratch and, whatever the seeds, zero-shot.
        trained = len(block.weak) + len(block.strong) * (len(block.ceilings) + 1 + len(block.weak) * len(block.methods))
        counts[setting] = len(block.tasks) * (len(grid.seeds) * trained + len(block.strong))
    if made := grid.simulated.tasks:
        students = len(grid.simulated.strong) * len(grid.simulated.methods)
        counts["classification"] += len(made) * len(grid.simulated.weak) * (1 + students) * len(grid.seeds)
    return counts
