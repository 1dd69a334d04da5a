"""The report: one HTML page, with the figures as files beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from w2s.core.params import Params
from w2s.methods import describe
from w2s.report import formats
from w2s.report.checks import checks, controls
from w2s.report.figures import SECTIONS, Drawn
from w2s.report.statements import answer
from w2s.report.summary import Estimate, Summary
from w2s.report.tables import CONTROLS, ReportGrid, Tables, distinct, name_of
from w2s.results.metrics import CHANCE

UNTESTED = ("not testable here", "not tested")  # verdicts on claims
SETTINGS = {
    "classification": "a text is answered by P(true); half of the statements are true, so that chance is 50\u202f%.",
    "preference": "a reward model scores two texts, which gives P(first is better); it is half of the time, so that "
    "chance is 50\u202f%.",
    "generation": "a prompt is answered in words; only exactly the true answer is right, and there is no chance level.",
}


@dataclass(frozen=True)
class Origin:
    """What a reader needs in order to repeat the run."""

    # the text of params.yaml
    parameters: str
    environment: Mapping[str, str]


def page(
    experiment: Params, tables: Tables, claims: Mapping[str, Any], figures: Sequence[Drawn], origin: Origin
) -> str:
    """The page; `claims` is the content of claims.json. Figures are linked as figures/<name>.svg."""
    template = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template.filters |= {name: getattr(formats, name) for name in ("percent", "interval", "points", "human")}
    grid = ReportGrid.of(experiment, tables)
    summary = Summary(tables, grid)
    found = controls(summary)
    return template.get_template("report.html.j2").render(
        answers={setting: answer(summary, setting, experiment.evaluate.confidence) for setting in grid.settings},
        settings=SETTINGS,
        methods={method: describe(experiment.methods[method]) for method in grid.methods},
        learn_texts=[method for method in grid.methods if "generative" in experiment.methods[method].parts],
        baseline=" or ".join(grid.baselines),
        checks=checks(summary, tables["training"], experiment),
        controls=found,
        leaked=[grid.label(control.task, control.strong) for control in found if control.leaked],
        summary=summary,
        grid=grid,
        probabilities=[task for task, part in grid.tasks.items() if part.setting in CHANCE],
        tables=tables,
        rule=claims["rule"],
        tested=_tested(claims["claims"]),
        untested={verdict: _untested(claims["claims"], verdict) for verdict in UNTESTED},
        budgets=_budgets(tables, grid),
        seeds=len(distinct(tables["results"], "seed")),
        figures={section: [figure for figure in figures if figure.section == section] for section in SECTIONS},
        evaluate=experiment.evaluate,
        estimate=Estimate,
        control_names=CONTROLS,
        name_of=name_of,
        parameters=origin.parameters,
        environment=origin.environment,
    )


def _budgets(tables: Tables, grid: ReportGrid) -> list[dict[str, Any]]:
    """How long each student was trained, with its `ratio` to the updates of its task's baseline."""
    budgets = tables["budgets"]
    found = []
    for row in budgets.select(role="student"):
        pair = {key: row[key] for key in ("task", "role", "weak", "strong")}
        naive = [one["updates"] for one in budgets.select(**pair, method=grid.tasks[row["task"]].baseline)]
        found.append(row | {"ratio": row["updates"] / naive[0] if any(naive) else None})
    return found


def _tested(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The rows of each claim, one a setting in which the grid tests it."""
    tested = [row for row in rows if row["verdict"] not in UNTESTED]
    return [list(group) for _, group in groupby(tested, key=lambda row: row["id"])]


def _untested(rows: list[dict[str, Any]], verdict: str) -> dict[str, dict[str, list[str]]]:
    """What has this verdict: reason → claim → settings, but for those that the reason names."""
    reasons: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        if row["verdict"] == verdict:
            settings = reasons.setdefault(row["why"], {}).setdefault(row["claim"], [])
            if row["setting"] not in row["why"]:
                settings.append(row["setting"])
    return reasons
