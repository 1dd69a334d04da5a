"""`w2s cost`: what the next run keeps, what it computes, and what that takes on this machine."""

from dataclasses import replace

from w2s.core.checks import load
from w2s.pipeline.cost.calibration import calibrate
from w2s.pipeline.cost.plan import Status
from w2s.pipeline.cost.survey import sizes, survey
from w2s.pipeline.cost.table import table
from w2s.pipeline.cost.totals import remarks, totals
from w2s.pipeline.cost.work import cost


def run(jobs: int) -> None:
    """Print the stages, their totals for `jobs` at a time, and what these rest on."""
    params = load()
    steps, overhead = survey(params)
    running = [step for step in steps if step.status is Status.RUN]
    notes: list[str] = []
    if running:
        parts = sizes(params, running)
        measures = calibrate(params, running, parts, jobs)
        costs = {step.name: cost(step.kind, step.item, params, parts, measures) for step in running}
        steps = [replace(step, cost=costs.get(step.name, step.cost)) for step in steps]
        notes = list(remarks(params, steps, measures))
    print(table(steps), "", *totals(steps, overhead, jobs), *notes, sep="\n")
