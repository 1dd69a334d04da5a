"""The report: what the tables say, in sentences, on one page that carries its figures inside.

A statement is *clear* when its interval leaves no doubt. An expectation from the paper *holds* when it is clear
wherever it should show, *does not hold* when its opposite is clear anywhere, and is *undecided* otherwise.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from w2s.analysis.figures import Grid, Row, Tables, distinct, human
from w2s.params import Evaluate

Status = Literal["holds", "does not hold", "undecided"]

CHANCE = 0.5  # every prediction is P(true) of a statement that is true as often as false
NEAR = 0.05  # "near chance" and "zero-shot near the ceiling": within 5 points


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
    """An expectation, whether it holds, and the evidence: (where, what was found, status)."""

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
        self.baseline = "naive" if "naive" in self.grid.methods else self.grid.methods[0]
        self._rows = {
            tuple(row[key] for key in ("task", "role", "metric", "weak", "strong", "method")): _estimate(row)
            for row in tables["summary"]
        }

    def get(self, task: str, role: str, metric: str, weak: str = "", strong: str = "", method: str = "") -> Estimate:
        return self._rows.get((task, role, metric, weak, strong, method), Estimate(None, None, None, "not measured"))

    def student(self, pair: Pair, method: str, metric: str) -> Estimate:
        return self.get(pair.task, "student", metric, pair.weak, pair.strong, method)

    def truth(self, task: str, model: str) -> Estimate:
        """Accuracy of a model trained on ground truth: as ceiling if it is one, else as supervisor."""
        if model in self.grid.strong:
            return self.get(task, "ceiling", "accuracy", strong=model)
        return self.get(task, "supervisor", "accuracy", weak=model)

    @property
    def pairs(self) -> list[Pair]:
        """Pairs whose student is larger than its supervisor, widest gap first."""
        found = []
        for task in self.grid.tasks:
            for weak, strong in self.grid.pairs:
                supervisor = self.get(task, "supervisor", "accuracy", weak=weak)
                ceiling = self.get(task, "ceiling", "accuracy", strong=strong)
                if (
                    self.grid.size[strong] > self.grid.size[weak]
                    and supervisor.value is not None
                    and ceiling.value is not None
                ):
                    found.append(Pair(task, weak, strong, supervisor, ceiling, ceiling.value - supervisor.value))
        return sorted(found, key=lambda pair: -pair.gap)

    def name(self, pair: Pair) -> str:
        return self.grid.label(pair.task, f"{pair.weak} → {pair.strong}")


def _estimate(row: Row) -> Estimate:
    return Estimate(row["value"], row["low"], row["high"], row["reason"])


# -- What the results say ---------------------------------------------------------------------------------------------


def answer(results: Results, confidence: float) -> str:
    """The outcome in one sentence: did students beat supervisors, and how much of the widest gap was recovered."""
    pairs = results.pairs
    if not pairs:
        return "Nothing can be said: no student in this grid is larger than its supervisor."
    wins = {
        method: sum(results.student(pair, method, "over_supervisor").versus(0) == "holds" for pair in pairs)
        for method in results.grid.methods
    }
    naive = wins.pop(results.baseline)
    if naive == len(pairs):
        beat = f"Yes: {_trained(results.baseline)} clearly beat their weak supervisors in {_of(naive, len(pairs))}"
    elif naive or any(wins.values()):
        beat = f"Partly: {_trained(results.baseline)} clearly beat their weak supervisors in {_of(naive, len(pairs))}"
        best = max(wins, key=lambda method: wins[method], default="")
        beat += f" (with the {best} method, in {_of(wins[best], len(pairs))})" if best else ""
    else:
        beat = (
            f"No: by no method does a strong student clearly beat its weak supervisor, in {_of(len(pairs), len(pairs))}"
        )
    return f"{beat}; {_recovered(results, pairs, confidence)}."


def _recovered(results: Results, pairs: list[Pair], confidence: float) -> str:
    """The answer's second half: PGR of the baseline and of the best other method at the widest gap that defines it."""
    defined = [pair for pair in pairs if results.student(pair, results.baseline, "pgr").value is not None]
    if not defined:
        reason = results.student(pairs[0], results.baseline, "pgr").reason
        return (
            f"how much of the gap was recovered is undefined, even for the widest, {results.name(pairs[0])} ({reason})"
        )
    widest = defined[0]
    recovered = {method: results.student(widest, method, "pgr") for method in results.grid.methods}
    naive = recovered.pop(results.baseline)
    ends = f"supervisor {percent(widest.supervisor.value)}, ceiling {percent(widest.ceiling.value)} correct"
    said = f"at the widest gap, {results.name(widest)} ({ends}), the {results.baseline} method recovers "
    said += f"{percent(naive.value, 0)} of it ({percent(confidence, 0)} interval {_range(naive)})"
    if recovered:
        best = max(recovered, key=lambda method: recovered[method].value or 0.0)
        among = f", the best of {len(recovered)} others," if len(recovered) > 1 else ""
        said += f" and the {best} method{among} {percent(recovered[best].value, 0)} ({_range(recovered[best])})"
    return said


def checks(results: Results) -> list[Check]:
    """The paper's expectations, each held against every place where it should show."""
    grid, pairs = results.grid, results.pairs
    found = [Check("Trained on ground truth, larger models are more accurate", _rises(results))]
    scratch: list[tuple[str, str, Status]] = []
    for task in grid.tasks:
        for strong in grid.strong:
            estimate = results.get(task, "scratch", "accuracy", strong=strong)
            scratch.append((grid.label(task, strong), interval(estimate), _near_chance(estimate)))
    found.append(Check("Without pretraining, the same models stay near chance (50 ± 5\u202f%)", scratch))
    for method in grid.methods:
        over = [(pair, results.student(pair, method, "over_supervisor")) for pair in pairs]
        evidence = [(results.name(pair), points(estimate), estimate.versus(0)) for pair, estimate in over]
        found.append(Check(f"Students trained by the {method} method beat their supervisors", evidence))
    wide = [pair for task in grid.tasks for pair in _wider_half([pair for pair in pairs if pair.task == task])]
    for method in grid.methods if results.baseline == "naive" else []:
        if method != "naive":
            over = [(pair, results.student(pair, method, "over_naive")) for pair in wide]
            evidence = [(results.name(pair), points(estimate), estimate.versus(0)) for pair, estimate in over]
            found.append(Check(f"At the wider half of the gaps, the {method} method beats the naive one", evidence))
    return [check for check in found if check.evidence]


def _rises(results: Results) -> list[tuple[str, str, Status]]:
    """Neighbours on the ladder; clear when their intervals do not touch."""
    grid = results.grid
    ladder = sorted({*grid.weak, *grid.strong}, key=lambda model: grid.size[model])
    found: list[tuple[str, str, Status]] = []
    for task in grid.tasks:
        for small, large in pairwise(ladder):
            low, high = results.truth(task, small), results.truth(task, large)
            if low.low is None or low.high is None or high.low is None or high.high is None:
                continue
            status: Status = "holds" if high.low > low.high else "does not hold" if high.high < low.low else "undecided"
            found.append(
                (grid.label(task, f"{small} → {large}"), f"{percent(low.value)} → {percent(high.value)}", status)
            )
    return found


def _near_chance(estimate: Estimate) -> Status:
    above, below = estimate.versus(CHANCE + NEAR), estimate.versus(CHANCE - NEAR)
    if above == "holds" or below == "does not hold":
        return "does not hold"
    return "holds" if above == "does not hold" and below == "holds" else "undecided"


def _wider_half(pairs: list[Pair]) -> list[Pair]:
    return pairs[: (len(pairs) + 1) // 2]


# -- The page ---------------------------------------------------------------------------------------------------------


def page(
    tables: Tables, figures: Mapping[str, bytes], evaluate: Evaluate, parameters: str, environment: Mapping[str, str]
) -> str:
    """The report as one HTML page that loads nothing: figures are PNG bytes, `parameters` the text of params.yaml."""
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
            *(results.get(task, role, "accuracy", strong=strong) for role in ("zero_shot", "scratch", "ceiling")),
        )
        for task in grid.tasks
        for strong in grid.strong
    ]
    return template.get_template("report.html.j2").render(
        answer=answer(results, evaluate.confidence),
        checks=checks(results),
        results=results,
        grid=grid,
        controls=controls,
        leaked=[grid.label(control.task, control.strong) for control in controls if control.leaked],
        cells=tables["results"],
        seeds=len(distinct(tables["results"], "seed")),
        figures={name: base64.b64encode(image).decode() for name, image in figures.items()},
        evaluate=evaluate,
        estimate=Estimate,
        parameters=parameters,
        environment=environment,
    )


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
