"""What dvc.lock says of two runs: which trained outputs differ in bits, and at which stage that begins."""

from collections.abc import Iterator, Sequence
from typing import Any

from w2s.core.errors import UserError

# Where what was drawn, trained and predicted lies; weights only where they are kept.
RESULTS = ("data/tasks/", "data/weak_labels/", "runs/", *(f"models/{role}/" for role in ("base", "supervisor")))
RESULTS += ("models/ceiling/", "models/student/")

Stages = dict[str, dict[str, Any]]  # entries of dvc.lock, by stage


def outputs(stages: Stages, name: str) -> dict[str, str]:
    """The md5 of every output of `RESULTS`, by path; `name` is the file's, for the error."""
    try:
        found = [file for entry in stages.values() for file in _files(entry, "outs")]
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{name}: not a lock file of DVC") from None
    return {path: md5 for path, md5 in found if path.startswith(RESULTS)}


def first_difference(here: Stages, committed: Stages, order: Sequence[str]) -> list[str]:
    """In words, the first stages of `order` (names in dvc.yaml) whose results differ, and what of their inputs does."""
    differing = [name for name in committed if name in here and _differs(here[name], committed[name], "outs")]
    groups = [group for group in order if any(name.partition("@")[0] == group for name in differing)]
    if not groups:
        return []
    first = [name for name in differing if name.partition("@")[0] == groups[0]]
    lines = [f"First stage that differs: {', '.join(first[:3])}{f' and {len(first) - 3} more' if first[3:] else ''}."]
    inputs = [*_differs(here[first[0]], committed[first[0]], "deps"), *_parameters(here[first[0]], committed[first[0]])]
    if inputs:
        return [*lines, f"  What it depends on differs, too: {', '.join(inputs)}."]
    return [*lines, "  All that it depends on is the same: this processor, or these versions, compute differently."]


def _differs(entry: dict[str, Any], other: dict[str, Any], key: str) -> list[str]:
    """The paths of two entries' outs (only those of `RESULTS`) or deps that differ."""
    old = dict(_files(other, key))
    new = dict(_files(entry, key))
    paths = [path for path in dict.fromkeys([*old, *new]) if old.get(path) != new.get(path)]
    return [path for path in paths if key == "deps" or path.startswith(RESULTS)]


def _parameters(entry: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """The parameters of two entries that differ."""
    old, new = ({k: v for of in entry.get("params", {}).values() for k, v in of.items()} for entry in (other, entry))
    return [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]


def _files(entry: dict[str, Any], key: str) -> Iterator[tuple[str, str]]:
    """The paths of an entry's deps or outs, and their md5."""
    for file in entry.get(key, []):
        yield file["path"], file["md5"]
