"""Divides examples into the parts of a task: no group straddles two parts, yes and no are balanced in each."""

from collections import Counter
from collections.abc import Iterable

from w2s.core.errors import UserError
from w2s.core.files import PARTS
from w2s.core.params import Split
from w2s.data.questions import Example, Origin, digest

ALLOWED_PARTS = {
    Origin.TRAIN: ("supervisor", "student", "validation"),
    Origin.TEST: ("test",),
    Origin.ANY: PARTS,
}


def divide(examples: Iterable[Example], split: Split, param_path: str) -> dict[str, list[Example]]:
    """The parts of a task, each ordered by a hash of the ids; half of each is true, unless answers are texts.

    A new group goes to that part, of those its `origin` allows, which lacks most in proportion to its size in `split`;
    its other examples follow it there or are left out. So a task with too few examples for the split is divided in the
    split's proportions, and an endless one ends when all parts are full. Examples of test files are expected first:
    then no group of theirs occurs in another part. The order drawn would tell the truth: the rarer class is drawn to
    the end, long after the other one is full. Raises `UserError` when a part lacks a class altogether.
    """
    sizes = {part: getattr(split, part) for part in PARTS}
    parts: dict[str, list[Example]] = {part: [] for part in PARTS}
    counts: Counter[tuple[str, bool | str]] = Counter()
    part_of_group: dict[str, str] = {}
    for example in examples:
        label = _class(example)
        classes = 1 if label == "text" else 2
        room = {part: sizes[part] // classes for part in PARTS}
        allowed = ALLOWED_PARTS[example.origin]
        emptiest = min(allowed, key=lambda part: counts[part, label] / room[part])
        part = part_of_group.get(example.group, emptiest)
        fits = part in allowed and counts[part, label] < room[part]
        # A group of a test file is tested on or left out, even if its first example finds no room.
        if fits or example.origin is Origin.TEST:
            part_of_group.setdefault(example.group, part)
        if fits:
            parts[part].append(example)
            counts[part, label] += 1
            if counts.total() == sum(sizes.values()):
                break
    smallest = _smallest_classes(counts, sizes, param_path)
    return {part: _ordered(_first_of_each_class(members, smallest[part])) for part, members in parts.items()}


def _class(example: Example) -> bool | str:
    """The class to balance: true or false; texts are all of one class."""
    return example.answer if isinstance(example.answer, bool) else "text"


def _smallest_classes(
    counts: Counter[tuple[str, bool | str]], sizes: dict[str, int], param_path: str
) -> dict[str, int]:
    """The number of examples in each part's smallest class; raises `UserError` where it is zero."""
    texts = any(label == "text" for _, label in counts)
    labels: list[bool | str] = ["text"] if texts else [True, False]
    smallest = {part: min(counts[part, label] for label in labels) for part in PARTS}
    for part in PARTS:
        if smallest[part] == 0:
            found = "none" if texts else f"{counts[part, True]} true and {counts[part, False]} false ones"
            wanted = f"{sizes[part]} and" if texts else f"{sizes[part]}, half of them true, and"
            raise UserError(f"{param_path}: too few examples for the split: {part} wants {wanted} got {found}")
    return smallest


def _first_of_each_class(examples: list[Example], count: int) -> list[Example]:
    """The first `count` examples of each class, in their order."""
    seen: Counter[bool | str] = Counter()
    kept = []
    for example in examples:
        seen[_class(example)] += 1
        if seen[_class(example)] <= count:
            kept.append(example)
    return kept


def _ordered(examples: list[Example]) -> list[Example]:
    """In an order that says nothing of the truth, nor of the order of a file."""
    return sorted(examples, key=lambda example: digest(f"order/{example.id}"))
