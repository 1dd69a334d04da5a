"""Divides examples into the parts of a task so that no group straddles two."""

from collections.abc import Iterator

from w2s.errors import UserError
from w2s.params import Split
from w2s.records import PARTS
from w2s.tasks import Example


def divide(examples: Iterator[Example], split: Split, where: str) -> dict[str, list[Example]]:
    """The parts of a task, each of its size in `split`, in the order drawn.

    A group's examples all go to the part that its first one fell into, or nowhere once that part is full. Raises
    `UserError` when the stream ends before every part is full.
    """
    parts: dict[str, list[Example]] = {name: [] for name in PARTS}
    home: dict[str, str] = {}
    wanted = {name: getattr(split, name) for name in PARTS}
    unfilled = list(PARTS)
    for example in examples:
        name = home.setdefault(example.group, unfilled[0])
        if len(parts[name]) < wanted[name]:
            parts[name].append(example)
        if len(parts[unfilled[0]]) == wanted[unfilled[0]]:
            unfilled.pop(0)
            if not unfilled:
                return parts
    found = {name: len(part) for name, part in parts.items()}
    raise UserError(f"{where}: too few examples for the split (wanted {wanted}, found {found})")
