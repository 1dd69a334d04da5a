"""`w2s cost`: what the next run keeps, what it computes, and what that takes on this machine."""

from dataclasses import replace

from w2s.core.checks import load
from w2s.pipeline.cost.calibration import calibrate
from w2s.pipeline.cost.plan import Status
from w2s.pipeline.cost.survey import sizes, survey
from w2s.pipeline.cost.table import table
from w2s.pipeline.cost.totals import remarks, totals
from w2s.pipeline.cost.work import cost
from w2s.pipeline.slots import slots


def run(jobs: int | None) -> None:
    """Print the stages, their totals for `jobs` at a time (`slots`), and what these rest on."""
    params = load()
    places = slots(jobs)
    steps, overhead = survey(params)
    running = [step for step in steps if step.status is Status.RUN]
    notes: list[str] = []
    if running:
        parts = sizes(params, running)
        measures = calibrate(params, running, parts, places)
        costs = {step.name: cost(step.kind, step.item, params, parts, measures) for step in running}
        steps = [replace(step, cost=costs.get(step.name, step.cost)) for step in steps]
        notes = list(remarks(params, steps, measures))
    print(table(steps), "", *totals(steps, overhead, len(places)), *notes, sep="\n")
