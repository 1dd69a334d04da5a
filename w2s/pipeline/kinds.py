"""`w2s stages`: the graph by kind of stage, where `dvc dag` draws every single one beside the others."""

from collections import Counter

from tabulate import tabulate

from w2s.pipeline import dvc


def show() -> None:
    """Print how many stages there are of each kind, and which kinds they wait for."""
    with dvc.opened() as repo:
        upstream = dvc.upstream(repo)
    counts = Counter(map(_kind, upstream))
    waits: dict[str, set[str]] = {kind: set() for kind in counts}
    for name, before in upstream.items():
        waits[_kind(name)] |= {_kind(other) for other in before}
    rows = [
        (kind, count, ", ".join(other for other in counts if other in waits[kind])) for kind, count in counts.items()
    ]
    print(tabulate(rows, ["stage", "count", "waits for"]))


def _kind(name: str) -> str:
    """student of student-classification@reviews-xs-m-naive-0."""
    return name.partition("@")[0].partition("-")[0]
