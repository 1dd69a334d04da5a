"""What each kind of stage passes through models, and so what it costs on a machine that was measured."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from w2s.core.hparams import hparams_for
from w2s.core.params import Embedded, Method, Params
from w2s.methods import as_ceiling, parts_of, passes
from w2s.pipeline import commands
from w2s.pipeline.cost.measures import Measures, Place
from w2s.results.collect import CONTROLS, task_grids
from w2s.training.passes import Pass, Plan, finetuning

Item = Mapping[str, str]  # a stage's arguments by name
Parts = dict[str, int]  # examples of each part of a task; `texts`: those without labels
Sizes = dict[str, Parts]  # by task


@dataclass(frozen=True)
class Cost:
    """What one stage takes, or several together."""

    seconds: float = 0.0
    tokens: float = 0.0  # learned from
    flops: float = 0.0
    memory: float = 0.0  # bytes at the peak
    processes: int = 1


NOTHING = Cost()


# What a stage passes through models


def stage_passes(kind: str, item: Item, params: Params, sizes: Sizes) -> Iterator[Pass]:
    """What a stage passes through models on the way to and from finetuning; nothing for a kind that does not finetune.

    Left out are the features that are kept of some test inputs, and what cleaning itself takes beside features.
    """
    if kind in PASSES:
        yield from PASSES[kind](item, params, sizes[item["task"]])


def _supervise(item: Item, params: Params, parts: Parts) -> Iterator[Pass]:
    hparams = hparams_for(params, item["task"], item["weak"])
    yield finetuning(item["weak"], hparams, parts["supervisor"], parts["test"])


def _label(item: Item, params: Params, parts: Parts) -> Iterator[Pass]:
    hparams = hparams_for(params, item["task"], item["weak"])
    labelled = parts["student"] + parts["validation"] + parts["test"]
    yield Pass(item["weak"], hparams, starts=1, read=labelled, encoded=labelled)


def _ceiling(item: Item, params: Params, parts: Parts) -> Iterator[Pass]:
    yield from _method(item, params, parts, method=as_ceiling(params.methods[item["method"]]), watched=parts["test"])


def _control(item: Item, params: Params, parts: Parts) -> Iterator[Pass]:
    hparams = hparams_for(params, item["task"], item["strong"])
    trained = hparams.model_copy(update={"snapshots": 1})
    student = parts["student"]
    test = parts["test"]
    # Zero-shot, and the features of the base model.
    yield Pass(item["strong"], hparams, starts=2, read=test, encoded=student + test)
    # On the supervisor's truth.
    yield finetuning(item["strong"], trained, parts["supervisor"], test)
    # From scratch, where all weights learn.
    if hparams.tune == "full":
        yield replace(finetuning(item["strong"], trained, student, test), encoded=test)


def _student(item: Item, params: Params, parts: Parts) -> Iterator[Pass]:
    watched = parts["test"] + parts["validation"]
    yield from _method(item, params, parts, method=params.methods[item["method"]], watched=watched)


def _method(item: Item, params: Params, parts: Parts, *, method: Method, watched: int) -> Iterator[Pass]:
    plan = Plan(
        params=params,
        task=item["task"],
        weak=item.get("weak", ""),
        model=item["strong"],
        method=method,
        parts=parts,
        watched=watched,
    )
    yield from passes(plan, parts_of(method))


PASSES: dict[str, Callable[[Item, Params, Parts], Iterator[Pass]]] = {
    "supervise": _supervise,
    "label": _label,
    "ceiling": _ceiling,
    "control": _control,
    "student": _student,
}


# What a stage costs


def cost(kind: str, item: Item, params: Params, sizes: Sizes, measures: Measures) -> Cost:
    """What a stage takes.

    A token read costs 2 FLOPs a weight, one learned from up to 6 (Kaplan et al., 2020, section 2.1; Hoffmann et al.,
    2022, appendix F); attention's own products are left out, as there.
    """
    machine = measures.machine
    match kind:
        case "prepare":
            return Cost(machine.light + measures.prepare.get(item["task"], 0.0))
        case "evaluate":
            counts = measured_models(params)
            return Cost(machine.light + sum(counts[setting] * measures.evaluate[setting] for setting in counts))
        case "code" | "gather" | "simulate" | "plot":
            return Cost(machine.light)
        case "base" if item["model"] in measures.pretrain:
            return _pretraining_cost(item["model"], params, measures)
    # The start alone for check, method, and base models of the hub.
    processes = commands.processes(item, params)
    # Of several processes, another one watches over them.
    total = Cost(machine.heavy * (1 + (processes > 1)), memory=processes * machine.memory, processes=processes)
    for one in stage_passes(kind, item, params, sizes):
        added = _pass_cost(item["task"], one, processes, measures)
        total = replace(
            total,
            seconds=total.seconds + added.seconds,
            tokens=total.tokens + added.tokens,
            flops=total.flops + added.flops,
            memory=max(total.memory, added.memory),
        )
    return total


def _pretraining_cost(model: str, params: Params, measures: Measures) -> Cost:
    entry = params.models[model]
    assert isinstance(entry, Embedded)
    speed = measures.pretrain[model]
    documents = params.corpora[entry.corpus].documents
    tokens = entry.steps * speed.tokens
    return Cost(
        seconds=measures.machine.heavy + speed.start + documents * speed.document + entry.steps * speed.update,
        tokens=tokens,
        flops=6 * speed.parameters * tokens,
        memory=measures.machine.memory + documents * speed.memory,
    )


def _pass_cost(task: str, one: Pass, processes: int, measures: Measures) -> Cost:
    """What a pass takes beside the start of its stage; what processes tell each other is left out."""
    place = Place(task, one.model, one.speed_hparams)
    speed = measures.finetune[place]
    tokens = one.learned * speed.tokens
    shared = one.updates * speed.update + one.read * speed.predict
    alone = one.starts * speed.start + one.encoded * speed.encode
    if one.text_updates:
        texts = measures.texts[place]
        tokens += one.text_updates * texts.tokens
        alone += texts.start
        shared += one.text_updates * texts.update
    return Cost(
        seconds=alone + shared / processes,
        tokens=tokens,
        flops=speed.parameters * (speed.flops * tokens + 2 * one.read * speed.tokens),
        memory=processes * (measures.machine.memory + speed.memory),
    )


def measured_models(params: Params) -> dict[str, int]:
    """How many models `evaluate` measures, by setting; a model under several seeds counts as several."""
    counts: dict[str, int] = Counter()
    for grid in task_grids(params):
        supervisors = {student.weak for student in grid.students}
        strong = len(grid.block.strong)
        models = len(supervisors) + strong * (len(grid.block.ceilings) + len(CONTROLS)) + len(grid.students)
        counts[grid.setting] += len(grid.seeds) * models
    return counts
