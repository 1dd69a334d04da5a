"""The stages as a table, folded until it can be read."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from statistics import fmean

from tabulate import tabulate

from w2s.pipeline.cost.plan import Status
from w2s.pipeline.cost.survey import Step

ROWS = 20  # of a kind of stage; a longer list is folded further
FOLDS = {"seed": "seeds", "method": "methods", "weak": "supervisors", "task": "tasks"}  # in this order
HEADER = ("stage", "what", "state", "tokens", "FLOPs", "memory", "each", "total")


def table(steps: Sequence[Step]) -> str:
    """One line a group of stages, under a header."""
    rows = []
    for kind in dict.fromkeys(step.kind for step in steps):
        label = kind
        for what, group in folded([step for step in steps if step.kind == kind]):
            rows.append([label, what, *_row(group)])
            label = ""
    alignment = ["left"] * 3 + ["right"] * 5
    return tabulate(rows, HEADER, tablefmt="plain", disable_numparse=True, colalign=alignment)


def _row(group: Sequence[Step]) -> list[str]:
    """State, tokens, FLOPs, memory, mean and total time of a group."""
    counts = Counter(step.status for step in group)
    state = ", ".join(f"{counts[status]} {status.value}" for status in Status if counts[status])
    costs = [step.cost for step in group if step.status is Status.RUN]
    if not costs:
        return [state, "", "", "", "", ""]
    seconds = [cost.seconds for cost in costs]
    memory = max(cost.memory for cost in costs)
    return [
        state,
        si(sum(cost.tokens for cost in costs)),
        si(sum(cost.flops for cost in costs)),
        f"{si(memory)}B" if memory else "",
        duration(fmean(seconds)),
        duration(sum(seconds)),
    ]


def folded(steps: Sequence[Step]) -> Iterator[tuple[str, list[Step]]]:
    """Stages of one kind in groups with a name, as few as make a readable list; seeds are always folded."""
    # A model is named, whatever it is to the stage.
    axes = [axis for axis in FOLDS if axis != "weak" or "strong" in steps[0].item]
    for count in range(1, len(axes) + 1):
        hidden = axes[:count]
        groups: dict[tuple[str, ...], list[Step]] = defaultdict(list)
        for step in steps:
            groups[tuple(value for axis, value in step.item.items() if axis not in hidden)].append(step)
        if len(groups) <= ROWS:
            break
    for group in groups.values():
        yield _group_name(group, hidden), group


def _group_name(group: Sequence[Step], hidden: Sequence[str]) -> str:
    """The arguments that a group shares, and how many values the hidden ones have."""
    shared = {axis: value for axis, value in group[0].item.items() if axis not in hidden}
    if {"weak", "strong"} <= shared.keys():
        shared["weak"] += f" → {shared.pop('strong')}"
    words = list(shared.values())
    for axis in hidden:
        number = len({step.item.get(axis) for step in group})
        if number > 1:
            words.append(f"× {number} {FOLDS[axis]}")
    return " ".join(words)


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
