"""Divides examples into the parts of a task: no group straddles two, yes and no are balanced in each."""

from collections import Counter
from collections.abc import Iterable

from w2s.core.errors import UserError
from w2s.core.files import PARTS
from w2s.core.params import Split
from w2s.data.tasks import Example

ALLOWED = {None: PARTS, True: ("test",), False: ("supervisor", "student", "validation")}


def divide(examples: Iterable[Example], split: Split, where: str) -> dict[str, list[Example]]:
    """The parts of a task, in the order drawn; half of each is true, unless answers are texts.

    A new group goes to that part, of those its `held_out` allows, which lacks most in proportion to its size in
    `split`; its other examples follow it there or are left out. So a task with too few examples for the split is
    divided in the split's proportions, and an endless one ends when all parts are full. Held-out examples are expected
    first: then no group of theirs occurs in another part. Raises `UserError` when a part lacks a class altogether.
    """
    size = {name: getattr(split, name) for name in PARTS}
    parts: dict[str, list[Example]] = {name: [] for name in PARTS}
    count: Counter[tuple[str, bool | str]] = Counter()
    home: dict[str, str] = {}
    for example in examples:
        allowed, kind = ALLOWED[example.held_out], _kind(example)
        room = {part: size[part] // (1 if kind == "text" else 2) for part in PARTS}
        name = home.get(example.group) or min(allowed, key=lambda part: count[part, kind] / room[part])
        taken = name in allowed and count[name, kind] < room[name]
        if taken or example.held_out:
            home.setdefault(example.group, name)
        if taken:
            parts[name].append(example)
            count[name, kind] += 1
            if count.total() == sum(size.values()):
                break
    texts = any(kind == "text" for _, kind in count)
    fewest = {name: min(count[name, kind] for kind in (["text"] if texts else [True, False])) for name in PARTS}
    if short := [name for name in PARTS if not fewest[name]]:
        got = f"{count[short[0], True]} true and {count[short[0], False]} false ones"
        wants = f"{size[short[0]]} and got none" if texts else f"{size[short[0]]}, half of them true, and got {got}"
        raise UserError(f"{where}: too few examples for the split: {short[0]} wants {wants}")
    return {name: _balanced(part, fewest[name]) for name, part in parts.items()}


def _kind(example: Example) -> bool | str:
    """What is balanced: yes against no; texts are all of one kind."""
    return example.answer if isinstance(example.answer, bool) else "text"


def _balanced(examples: list[Example], each: int) -> list[Example]:
    """The first `each` examples of every kind, in their order."""
    count: Counter[bool | str] = Counter()
    taken = []
    for example in examples:
        count[_kind(example)] += 1
        if count[_kind(example)] <= each:
            taken.append(example)
    return taken
