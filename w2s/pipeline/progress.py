"""What a run is doing, for `w2s status` to read meanwhile: a line for every stage that starts, ends or fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from w2s.pipeline import ending

FILE = Path(".dvc/tmp/w2s.progress")


class Note(Protocol):
    """Adds a line."""

    def __call__(self, event: str, name: str) -> None: ...


@contextmanager
def noted() -> Iterator[Note]:
    """Begin anew, as a run does."""
    with FILE.open("w", encoding="utf-8") as file:

        def note(event: str, name: str) -> None:
            file.write(f"{event} {name}\n")
            file.flush()

        yield note


def latest() -> dict[str, str]:
    """Stages that are `running` or `done` in the run that goes on here, and that have `failed` in this or the last."""
    if not FILE.exists():
        return {}
    lines = FILE.read_text(encoding="utf-8").splitlines()
    found = {name: event for event, _, name in (line.partition(" ") for line in lines)}
    goes_on = ending.is_held()
    return {name: event for name, event in found.items() if goes_on or event == "failed"}
