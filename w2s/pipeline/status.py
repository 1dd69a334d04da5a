"""`w2s status`: how far the grid is, by kind of stage, where `dvc status` and `dvc dag` list every single one."""

import sys
from collections import Counter

from tabulate import tabulate

from w2s.core.checks import load
from w2s.core.errors import UserError
from w2s.pipeline import dvc, progress
from w2s.pipeline.cost.plan import Plan, Status
from w2s.pipeline.remote import Remote

COLUMNS = ("done", "cached", "to run", "running", "failed")
WORDS = {Status.KEPT: "done", Status.CACHED: "cached", Status.RUN: "to run"}


def show() -> None:
    """Print how many stages there are of each kind, how far these are, and which kinds they wait for.

    Cached is what DVC's run cache or its remote has.
    """
    params = load()
    with dvc.opened() as repo:
        upstream, stages = dvc.upstream(repo), dvc.stages(repo)
        plan = Plan(repo, params)
        status = {name: WORDS[found] for name, found in plan.statuses(upstream, stages).items()}
        status |= dict.fromkeys(_in_remote(repo, {name: stages[name] for name in plan.recorded}), "cached")
    for name, event in progress.latest().items():
        if status.get(name, "done") != "done":
            status[name] = event
    kinds = {name: _kind(name) for name in upstream}
    counts = Counter((kinds[name], found) for name, found in status.items())
    waits: dict[str, set[str]] = {kind: set() for kind in kinds.values()}
    for name in upstream:
        waits[kinds[name]] |= {kinds[other] for other in upstream[name]}
    rows = []
    for kind in waits:
        found = [counts[kind, column] for column in COLUMNS]
        after = [other for other in waits if other in waits[kind]]
        rows.append([kind, sum(found), *(count or "" for count in found), ", ".join(after)])
    print(tabulate(rows, ["stage", "count", *COLUMNS, "waits for"]))


def _in_remote(repo: dvc.Repo, recorded: dict[str, dvc.Stage]) -> list[str]:
    """Those of these stages all of whose outputs are in the DVC remote, if there is one that can be reached."""
    if not recorded or not repo.config["core"].get("remote"):
        return []
    try:
        missing = Remote(repo).lacks(out for stage in recorded.values() for out in stage.outs)
    except UserError as error:
        print(error, file=sys.stderr)
        return []
    return [name for name, stage in recorded.items() if not any(out.hash_info.value in missing for out in stage.outs)]


def _kind(name: str) -> str:
    """student of student-classification@reviews-xs-m-naive-0."""
    return name.partition("@")[0].partition("-")[0]
