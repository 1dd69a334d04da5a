"""What each kind of stage computes, and so what it takes on a machine that has been measured."""

import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

from w2s.core.grid import setting_blocks
from w2s.core.hparams import hparams_for
from w2s.core.params import Embedded, Finetune, Grid, Params
from w2s.methods import as_ceiling, parts_of, passes
from w2s.training.passes import Pass, Plan, finetuning

Notes = list[tuple[str, str]]  # of what, and what was assumed of it or stands against it
Place = tuple[str, str, Finetune]  # a task, a model, and the pace at which it is finetuned

AXES = {  # what each kind of stage is repeated over, in the order of its arguments
    "code": (),
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


@dataclass(frozen=True)
class Machine:
    """What every stage takes, whatever it computes."""

    light: float  # seconds to start a stage without torch
    heavy: float  # seconds to start a stage with torch
    memory: float  # bytes of a process with torch


@dataclass(frozen=True)
class Pretrained:
    """What an embedded model takes to pretrain, or a model to finetune on texts without labels."""

    parameters: int
    start: float  # seconds to load
    document: float  # seconds to write and encode a document of the corpus
    update: float  # seconds an update
    tokens: float  # tokens an update
    memory: float  # bytes a document


NOTHING = Pretrained(parameters=0, start=0.0, document=0.0, update=0.0, tokens=0.0, memory=0.0)


@dataclass(frozen=True)
class Tuned:
    """What a model takes to finetune on a task."""

    parameters: int
    start: float  # seconds to load
    text: float  # seconds to encode a text
    update: float  # seconds an update
    read: float  # seconds to predict a text
    tokens: float  # tokens a text
    learn: int  # FLOPs for each weight and token learned from
    memory: float  # bytes, beside those of the process
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


def resident() -> int:
    """Bytes that this process held at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def stage_passes(kind: str, item: dict[str, str], params: Params, sizes: dict[str, dict[str, int]]) -> Iterator[Pass]:
    """What a stage passes through models; `sizes` are the numbers of examples of each task's parts, and of its texts.

    Left out are the features that are kept of some test inputs, and what cleaning itself takes beside features.
    """
    if kind not in ("supervise", "label", "ceiling", "control", "student"):
        return
    task = item["task"]
    model = item["weak" if kind in ("supervise", "label") else "strong"]
    parts = sizes[task]
    student, validation, test = parts["student"], parts["validation"], parts["test"]
    if kind in ("ceiling", "student"):
        method = params.methods[item["method"]]
        watched = test + validation
        if kind == "ceiling":
            method = as_ceiling(method)
            watched = test
        plan = Plan(params, task, item.get("weak", ""), model, method, parts, watched)
        yield from passes(plan, parts_of(method))
        return
    hparams = hparams_for(params, task, model)
    if kind == "supervise":
        yield finetuning(model, hparams, parts["supervisor"], test)
    elif kind == "label":
        labelled = student + validation + test
        yield Pass(model, hparams, starts=1, read=labelled, encoded=labelled)
    else:
        # Zero-shot; its features.
        yield Pass(model, hparams, starts=2, read=test, encoded=student + test)
        # Where not all weights learn, nothing is trained from scratch.
        for _ in params.grid.seeds if hparams.tune == "full" else []:
            yield replace(finetuning(model, hparams, student, test), encoded=test)


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
    if kind in ("code", "simulate", "plot"):
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
    whole = Cost(machine.heavy, memory=machine.memory)  # all of it for check, method, and base models of the hub
    for passed in stage_passes(kind, item, params, sizes):
        place = item["task"], passed.model, passed.pace
        one, texts = found.finetune[place], found.texts[place] if passed.text_updates else NOTHING
        tokens = passed.learned * one.tokens + passed.text_updates * texts.tokens
        seconds = (
            passed.starts * one.start + passed.updates * one.update + texts.start + passed.text_updates * texts.update
        )
        whole = Cost(
            seconds=whole.seconds + seconds + passed.encoded * one.text + passed.read * one.read,
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
