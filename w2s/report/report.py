"""The report: what the tables say, in sentences, on one page that carries its figures inside.

A statement is *clear* when its interval leaves no doubt. What must be true of a ladder, before its students can tell
anything, *holds* when it is clear wherever it should show, *does not hold* when its opposite is clear anywhere, and is
*undecided* otherwise. The paper's own claims are judged in `claims`.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from w2s.core.params import Evaluate, Method
from w2s.methods import describe
from w2s.report.figures import Block, Grid, Row, Tables, distinct, human
from w2s.results.metrics import CHANCE

Status = Literal["holds", "does not hold", "undecided"]

NEAR = 0.05  # "near chance" and "zero-shot near the ceiling": within 5 points
ASKS = {  # what a task of each setting is
    "classification": "a text is answered by P(true); half of the statements are true, so that chance is 50\u202f%.",
    "preference": "a reward model scores two texts, which gives P(first is better); it is half of the time, so that "
    "chance is 50\u202f%.",
    "generation": "a prompt is answered in words; only exactly the true answer is right, and there is no chance level.",
}


class Estimate(NamedTuple):
    """A value with its interval; None, with the reason, where it is undefined."""

    value: float | None
    low: float | None
    high: float | None
    reason: str

    def versus(self, threshold: float) -> Status:
        """Whether the value is clearly above a threshold."""
        if self.low is None or self.high is None:
            return "undecided"
        return "holds" if self.low > threshold else "does not hold" if self.high < threshold else "undecided"


class Pair(NamedTuple):
    """A supervisor and a larger student on a task, and what lies between their accuracies on ground truth."""

    task: str
    weak: str
    strong: str
    supervisor: Estimate
    ceiling: Estimate
    gap: float


class Control(NamedTuple):
    """What a student model can do without finetuning and without pretraining, beside its ceiling: accuracies."""

    task: str
    strong: str
    zero_shot: Estimate
    scratch: Estimate
    ceiling: Estimate

    @property
    def leaked(self) -> bool:
        """Zero-shot within 5 points of the ceiling: pretraining has already taught the task."""
        zero_shot, ceiling = self.zero_shot.value, self.ceiling.value
        return zero_shot is not None and ceiling is not None and zero_shot >= ceiling - NEAR


@dataclass(frozen=True)
class Check:
    """What a ladder must show, whether it does, and the evidence: (where, what was found, status)."""

    claim: str
    evidence: list[tuple[str, str, Status]]

    @property
    def status(self) -> Status:
        found = {status for _, _, status in self.evidence}
        return "does not hold" if "does not hold" in found else "undecided" if "undecided" in found else "holds"


class Results:
    """summary.csv by its keys."""

    def __init__(self, tables: Tables) -> None:
        self.grid = Grid.of(tables)
        self._rows = {
            tuple(row[key] for key in ("task", "role", "metric", "weak", "strong", "method")): _estimate(row)
            for row in tables["summary"]
        }

    def get(self, task: str, role: str, metric: str, weak: str = "", strong: str = "", method: str = "") -> Estimate:
        return self._rows.get((task, role, metric, weak, strong, method), Estimate(None, None, None, "not measured"))

    def student(self, pair: Pair, method: str, metric: str) -> Estimate:
        return self.get(pair.task, "student", metric, pair.weak, pair.strong, method)

    def ceiling(self, task: str, strong: str, method: str | None = None) -> Estimate:
        """Accuracy of the ceiling that students by a method are held against; without one, of the task's main one."""
        block = self.grid.tasks[task]
        return self.get(task, "ceiling", "accuracy", "", strong, block.ceilings[method or block.baseline])

    def truth(self, task: str, model: str) -> Estimate:
        """Accuracy of a model trained on ground truth: as ceiling if it is one, else as supervisor."""
        if model in self.grid.tasks[task].strong:
            return self.ceiling(task, model)
        return self.get(task, "supervisor", "accuracy", weak=model)

    @property
    def pairs(self) -> list[Pair]:
        """Pairs whose student is larger than its supervisor, task by task, widest gap first."""
        found = []
        for task, block in self.grid.tasks.items():
            for weak, strong in block.pairs:
                supervisor, ceiling = self.get(task, "supervisor", "accuracy", weak), self.ceiling(task, strong)
                if (
                    self.grid.size[strong] > self.grid.size[weak]
                    and supervisor.value is not None
                    and ceiling.value is not None
                ):
                    found.append(Pair(task, weak, strong, supervisor, ceiling, ceiling.value - supervisor.value))
        place = list(self.grid.tasks).index
        return sorted(found, key=lambda pair: (place(pair.task), -pair.gap))

    def block(self, pair: Pair) -> Block:
        return self.grid.tasks[pair.task]

    def name(self, pair: Pair) -> str:
        return self.grid.label(pair.task, f"{pair.weak} → {pair.strong}")


def _estimate(row: Row) -> Estimate:
    return Estimate(row["value"], row["low"], row["high"], row["reason"])


# -- What the results say ---------------------------------------------------------------------------------------------


def answer(results: Results, setting: str, confidence: float) -> str:
    """A setting's outcome in one sentence: did students beat supervisors, how much of the widest gap was recovered."""
    pairs = [pair for pair in results.pairs if results.block(pair).setting == setting]
    pairs.sort(key=lambda pair: -pair.gap)
    if not pairs:
        return "Nothing can be said: no student in this grid is larger than its supervisor."
    wins = {
        method: sum(results.student(pair, method, "over_supervisor").versus(0) == "holds" for pair in pairs)
        for method in results.block(pairs[0]).methods
    }
    baseline = results.block(pairs[0]).baseline
    naive = wins.pop(baseline)
    if naive == len(pairs):
        beat = f"Yes: {_trained(baseline)} clearly beat their weak supervisors in {_of(naive, len(pairs))}"
    elif naive or any(wins.values()):
        beat = f"Partly: {_trained(baseline)} clearly beat their weak supervisors in {_of(naive, len(pairs))}"
        best = max(wins, key=lambda method: wins[method], default="")
        beat += f" (with the {best} method, in {_of(wins[best], len(pairs))})" if best else ""
    else:
        beat = (
            f"No: by no method does a strong student clearly beat its weak supervisor, in {_of(len(pairs), len(pairs))}"
        )
    return f"{beat}; {_recovered(results, pairs, confidence)}."


def _recovered(results: Results, pairs: list[Pair], confidence: float) -> str:
    """The answer's second half: PGR of the baseline and of the best other method at the widest gap that defines it."""
    block, one_task = results.block(pairs[0]), len({pair.task for pair in pairs}) == 1

    def name(pair: Pair) -> str:
        return f"{pair.weak} → {pair.strong}" if one_task else results.name(pair)

    defined = [pair for pair in pairs if results.student(pair, block.baseline, "pgr").value is not None]
    if not defined:
        reason = results.student(pairs[0], block.baseline, "pgr").reason
        return f"how much of the gap was recovered is undefined, even for the widest, {name(pairs[0])} ({reason})"
    widest = defined[0]
    recovered = {method: results.student(widest, method, "pgr") for method in block.methods}
    naive = recovered.pop(block.baseline)
    ends = f"supervisor {percent(widest.supervisor.value)}, ceiling {percent(widest.ceiling.value)} correct"
    said = f"at the widest gap, {name(widest)} ({ends}), the {block.baseline} method recovers "
    said += f"{percent(naive.value, 0)} of it ({percent(confidence, 0)} interval {_range(naive)})"
    recovered = {method: estimate for method, estimate in recovered.items() if estimate.value is not None}
    if recovered:
        best = max(recovered, key=lambda method: recovered[method].value or 0.0)
        among = f", the best of {len(recovered)} others," if len(recovered) > 1 else ""
        said += f" and the {best} method{among} {percent(recovered[best].value, 0)} ({_range(recovered[best])})"
        said += " of the gap to its own ceiling" if best in block.own else ""
    return said


def checks(results: Results) -> list[Check]:
    """What must be true of the ladder, each held against every place where it should show."""
    grid = results.grid
    chance: list[tuple[str, str, Status]] = []
    far: list[tuple[str, str, Status]] = []
    for task, block in grid.tasks.items():
        for strong in block.strong:
            scratch, where = results.get(task, "scratch", "accuracy", strong=strong), grid.label(task, strong)
            if block.setting in CHANCE:
                chance.append((where, interval(scratch), _near(scratch, CHANCE[block.setting])))
            else:
                ceiling = results.ceiling(task, strong)
                far.append((where, f"{interval(scratch)} of {percent(ceiling.value)}", _under_half(scratch, ceiling)))
    found = [
        Check("Trained on ground truth, larger models are more accurate", _rises(results)),
        Check("Without pretraining, the same models stay near chance (50 ± 5\u202f%)", chance),
        Check("Without pretraining, the same models stay under half of their ceiling", far),
    ]
    return [check for check in found if check.evidence]


def _rises(results: Results) -> list[tuple[str, str, Status]]:
    """Neighbours on the ladder; clear when their intervals do not touch."""
    grid = results.grid
    found: list[tuple[str, str, Status]] = []
    for task, block in grid.tasks.items():
        ladder = sorted({*block.weak, *block.strong}, key=lambda model: grid.size[model])
        for small, large in pairwise(ladder):
            low, high = results.truth(task, small), results.truth(task, large)
            if low.low is None or low.high is None or high.low is None or high.high is None:
                continue
            status: Status = "holds" if high.low > low.high else "does not hold" if high.high < low.low else "undecided"
            found.append(
                (grid.label(task, f"{small} → {large}"), f"{percent(low.value)} → {percent(high.value)}", status)
            )
    return found


def _near(estimate: Estimate, chance: float) -> Status:
    above, below = estimate.versus(chance + NEAR), estimate.versus(chance - NEAR)
    if above == "holds" or below == "does not hold":
        return "does not hold"
    return "holds" if above == "does not hold" and below == "holds" else "undecided"


def _under_half(scratch: Estimate, ceiling: Estimate) -> Status:
    if scratch.low is None or scratch.high is None or ceiling.low is None or ceiling.high is None:
        return "undecided"
    return (
        "holds"
        if scratch.high < ceiling.low / 2
        else "does not hold"
        if scratch.low > ceiling.high / 2
        else "undecided"
    )


# -- The page ---------------------------------------------------------------------------------------------------------


def page(
    tables: Tables,
    claims: Mapping[str, Any],
    figures: Mapping[str, bytes],
    evaluate: Evaluate,
    recipes: Mapping[str, Method],
    parameters: str,
    environment: Mapping[str, str],
) -> str:
    """The report as one HTML page that loads nothing.

    `claims` is what claims.json says, figures are PNG bytes, `parameters` is the text of params.yaml.
    """
    results = Results(tables)
    grid = results.grid
    template = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template.filters |= {"percent": percent, "interval": interval, "points": points, "human": human}
    controls = [
        Control(
            task,
            strong,
            results.get(task, "zero_shot", "accuracy", strong=strong),
            results.get(task, "scratch", "accuracy", strong=strong),
            results.ceiling(task, strong),
        )
        for task, block in grid.tasks.items()
        for strong in block.strong
    ]
    return template.get_template("report.html.j2").render(
        answers={setting: answer(results, setting, evaluate.confidence) for setting in grid.settings},
        asks=ASKS,
        methods={method: describe(recipes[method]) for method in grid.methods},
        learn_texts=[method for method in grid.methods if "generative" in recipes[method].parts],
        checks=checks(results),
        results=results,
        grid=grid,
        controls=controls,
        leaked=[grid.label(control.task, control.strong) for control in controls if control.leaked],
        probabilities=[task for task, block in grid.tasks.items() if block.setting in CHANCE],
        cells=tables["results"],
        comparison=tables["comparison"],
        overfitting=tables["overfitting"],
        saliency=tables["saliency"],
        claims={"rule": claims["rule"]} | _by_claim(claims["claims"]),
        seeds=len(distinct(tables["results"], "seed")),
        figures={name: base64.b64encode(image).decode() for name, image in figures.items()},
        evaluate=evaluate,
        estimate=Estimate,
        parameters=parameters,
        environment=environment,
    )


def _by_claim(rows: list[dict[str, Any]]) -> dict[str, list[list[dict[str, Any]]]]:
    """The rows of each claim, one a setting: of claims that are tested in any of them, and of the others."""
    groups: dict[bool, list[list[dict[str, Any]]]] = {True: [], False: []}
    for _, group in groupby(rows, key=lambda row: row["id"]):
        found = list(group)
        groups[any(row["verdict"] != "not tested" for row in found)].append(found)
    return {"tested": groups[True], "untested": groups[False]}


def percent(value: float | None, digits: int = 1) -> str:
    return "n/a" if value is None else _signed(f"{100 * value:.{digits}f}") + "\u202f%"


def interval(estimate: Estimate, digits: int = 1) -> str:
    """58.1 % [56.0, 60.2]; n/a with the reason where it is undefined."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return f"n/a: {estimate.reason}"
    low, high = (_signed(f"{100 * end:.{digits}f}") for end in (estimate.low, estimate.high))
    return f"{percent(estimate.value, digits)} [{low}, {high}]"


def points(estimate: Estimate) -> str:
    """A difference of accuracies: +8.1 points [6.0, 10.2]."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return f"n/a: {estimate.reason}"
    value, low, high = (f"{100 * number:+.1f}" for number in (estimate.value, estimate.low, estimate.high))
    return f"{_signed(value)} points [{_signed(low)}, {_signed(high)}]"


def _range(estimate: Estimate) -> str:
    return f"{_signed(f'{100 * (estimate.low or 0):.0f}')} to {percent(estimate.high, 0)}"


def _trained(method: str) -> str:
    return f"strong students trained by the {method} method"


def _of(count: int, total: int) -> str:
    if total == 1:
        return "the one pair of models" if count else "0 of 1 pairs"
    return f"all {total} pairs of models" if count == total else f"{count} of {total} pairs"


def _signed(text: str) -> str:
    """A typographic minus, and no minus before zero."""
    return (text if float(text) else text.lstrip("-")).replace("-", "−")
