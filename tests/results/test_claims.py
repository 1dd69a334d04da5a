"""The claims, on made-up outcomes that must hold, must not, leave it open or lack what a claim needs."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.results.test_evaluation import CHESS, NOT_SIMULATED, PREFERENCES, REVIEWS, SIZES
from w2s import __main__ as command
from w2s.core.errors import UserError
from w2s.core.params import Block, Simulated
from w2s.results import claims
from w2s.results.evaluation import Name, Outcome
from w2s.results.statistics import Estimate

BLOCKS = {"classification": REVIEWS, "preference": PREFERENCES, "generation": CHESS}
STUDENT, BASE = Name("student", "xs", "l", "naive"), Name("base", strong="l")


RNG = np.random.default_rng(0)


def spread(value: float, width: float = 0.01) -> np.ndarray:
    """A measurement of this value, with replicates about as far as `width` from it."""
    return np.concatenate([[value], RNG.normal(value, width / 2, 400)])


def outcome(
    setting: str, means: dict[Name, dict[str, float]], width: float = 0.01, task: str = "", **simulated: object
) -> Outcome:
    """A task of one setting with these values, each known to ± width."""
    found = {name: {metric: spread(v, width) for metric, v in values.items()} for name, values in means.items()}
    estimates = {(n, m): Estimate(v, v - width, v + width) for n, values in means.items() for m, v in values.items()}
    block, made_up = Block(**BLOCKS[setting]), Simulated(**NOT_SIMULATED | simulated)
    return Outcome(task or block.tasks[0], setting, block, made_up, SIZES, 0.95, found, estimates)


def row(id: str, *outcomes: Outcome, setting: str | None = None) -> dict:
    rows = {(row["id"], row["setting"]): row for row in claims.judge([*outcomes])}
    where = outcomes[0].setting if setting is None else setting
    return rows[id, where]


def of(metric: str, method: str = "naive") -> Callable[[float], dict]:
    """Students of xs, s and l by a method, each with this value of a metric."""
    return lambda value: {Name("student", "xs", strong, method): {metric: value} for strong in ("s", "l")}


def ladder(metric: str) -> Callable[[float], dict]:
    """A value that rises by this much from the smaller student to the larger."""
    return lambda rise: {Name("student", "xs", s, "naive"): {metric: 0.4 + r} for s, r in (("s", 0.0), ("l", rise))}


def with_gaps(rise: float) -> dict:
    """A gain by the confidence loss that is so much larger at the gap xs → l than at s → l."""
    accuracy = {Name("supervisor", "xs"): 0.6, Name("supervisor", "s"): 0.8}
    accuracy[Name("ceiling", strong="l", method="naive")] = 0.95
    gains = {Name("student", weak, "l", "confidence"): {"over_naive": 0.02 + r} for weak, r in (("xs", rise), ("s", 0))}
    return {name: {"accuracy": value} for name, value in accuracy.items()} | gains


def probes(gain: float) -> dict:
    return {STUDENT: {"probe": 0.7 + gain}, BASE: {"probe": 0.7}}


def prompted(above: float) -> dict:
    """A few-shot ceiling so much above what is near: 50 % + 0.9 × 40 points."""
    few, naive = (Name("ceiling", strong="l", method=method) for method in ("few-shot", "naive"))
    return {few: {"accuracy": 0.86 + above}, naive: {"accuracy": 0.9}}


def generative(gain: float) -> dict:
    return {STUDENT: {"pgr": 0.4}, STUDENT._replace(method="generative"): {"pgr": 0.4 + gain}}


def of_chess(means: dict) -> dict:
    return {name._replace(weak=f"chess-{name.weak}", strong=f"chess-{name.strong}"): m for name, m in means.items()}


CASES = {
    "students-beat-supervisors": ("classification", of("over_supervisor")),
    "pgr-grows-with-student-size": ("classification", ladder("pgr")),
    "confidence-helps-most-at-large-gaps": ("classification", with_gaps),
    "students-overfit-weak-errors": ("classification", of("overfit")),
    "students-come-to-repeat-errors": ("preference", of("late_agreement_wrong")),
    "larger-students-agree-less": ("generation", lambda rise: of_chess(ladder("agreement")(-rise))),
    "larger-students-repeat-fewer-errors": ("classification", lambda rise: ladder("agreement_wrong")(-rise)),
    "few-shot-approaches-finetuning": ("classification", prompted),
    "generative-finetuning-helps-reward-modelling": ("preference", of("over_naive", "generative")),
    "generative-finetuning-recovers-more": ("preference", generative),
    "weak-finetuning-makes-the-concept-clearer": ("preference", probes),
}


@pytest.mark.parametrize(("id", "setting", "means"), [(id, *case) for id, case in CASES.items()])
@pytest.mark.parametrize(
    ("effect", "verdict"), [(0.1, "holds"), (-0.1, "does not hold"), (0.002, "undecided"), (None, "not tested")]
)
def test_verdicts_follow_the_side_of_the_interval(
    id: str, setting: str, means: Callable[[float], dict], effect: float | None, verdict: str
) -> None:
    found = row(id, outcome(setting, means(effect) if effect is not None else {}))
    assert found["verdict"] == verdict
    if effect is None:
        assert found["effect"] is None
        assert found["why"].startswith("needs ")
    else:
        assert found["effect"] == pytest.approx(effect)
        assert found["low"] < effect < found["high"]


def test_the_pooled_interval_is_that_of_the_mean_in_each_replicate() -> None:
    rng = np.random.default_rng(0)
    one, other = (
        outcome("classification", of("overfit")(0.0)),
        outcome("classification", of("overfit")(0.0), task="two"),
    )
    effects = []
    for task in (one, other):
        for values in task.means.values():
            values["overfit"] = rng.normal(0.1, 0.1, 1001)
            effects.append(values["overfit"])
    found = row("students-overfit-weak-errors", one, other)
    mean = sum(effects) / 4
    assert found["comparisons"] == 4
    assert found["effect"] == pytest.approx(mean[0])
    assert (found["low"], found["high"]) == pytest.approx((*np.quantile(mean[1:], [0.025, 0.975]),))


@pytest.mark.parametrize(("gain", "verdict"), [(0.05, "holds"), (-0.05, "does not hold")])
def test_chess_is_asked_of_bootstrapping(gain: float, verdict: str) -> None:
    students = {Name("student", weak, "chess-l", "bootstrap"): {"over_naive": gain} for weak in ("chess-xs", "chess-s")}
    assert row("bootstrapping-helps-chess", outcome("generation", students))["verdict"] == verdict


def test_a_way_without_rungs_says_nothing_of_bootstrapping() -> None:
    between, neighbours = (Name("student", weak, "chess-l", "bootstrap") for weak in ("chess-xs", "chess-s"))
    task = outcome("generation", {between: {"over_naive": 0.05}, neighbours: {"over_naive": 0.0}})
    task.means[neighbours]["over_naive"][:] = 0  # the same student as by naive, in every replicate
    found = row("bootstrapping-helps-chess", task)
    assert (found["comparisons"], found["effect"]) == (1, 0.05)


def test_reward_modelling_is_compared_with_the_lowest_other_setting() -> None:
    chess = {Name("student", "chess-xs", "chess-l", "naive"): {"pgr": 0.3}}
    tasks = [outcome("classification", of("pgr")(0.5)), outcome("generation", chess)]
    lowest = "naive-pgr-is-lowest-in-reward-modelling"
    assert row(lowest, *tasks, setting="")["verdict"] == "not tested"
    assert row(lowest, *tasks, outcome("preference", of("pgr")(0.1)), setting="")["effect"] == pytest.approx(0.2)
    assert row(lowest, *tasks, outcome("preference", of("pgr")(0.4)), setting="")["verdict"] == "does not hold"


def test_random_errors_are_compared_with_rounded_labels_or_with_naive() -> None:
    noisy, hard = Name("student", "random-errors", "l", "naive"), STUDENT._replace(method="hard")
    grid = {"tasks": ["reviews"], "weak": ["random-errors"], "strong": ["l"], "methods": ["naive"]}
    means = {noisy: {"accuracy": 0.9}, STUDENT: {"accuracy": 0.8}}
    id = "random-errors-are-forgiven-more"
    assert row(id, outcome("classification", means, **grid))["effect"] == pytest.approx(0.1)
    means[hard] = {"accuracy": 0.95}
    assert row(id, outcome("classification", means, **grid))["verdict"] == "does not hold"
    assert row(id, outcome("classification", means))["verdict"] == "not tested"


def test_students_no_larger_than_their_supervisor_and_undefined_values_are_left_out() -> None:
    students = {Name("student", "s", "s", "naive"): {"over_supervisor": -0.3}}
    assert row("students-beat-supervisors", outcome("classification", students))["verdict"] == "not tested"
    students |= of("over_supervisor")(0.1) | {Name("student", "s", "l", "naive"): {"over_supervisor": np.nan}}
    found = row("students-beat-supervisors", outcome("classification", students))
    assert (found["comparisons"], found["verdict"]) == (2, "holds")


def test_prompting_is_not_held_against_finetuning_that_learnt_nothing() -> None:
    few, naive = (Name("ceiling", strong="l", method=method) for method in ("few-shot", "naive"))
    means = {few: {"accuracy": 0.5}, naive: {"accuracy": 0.505}}
    assert row("few-shot-approaches-finetuning", outcome("classification", means))["verdict"] == "not tested"


def test_a_setting_that_the_grid_lacks_is_not_tested() -> None:
    found = row("students-beat-supervisors", outcome("classification", {}), setting="generation")
    assert (found["verdict"], found["why"]) == ("not tested", "the grid has no generation task")


def test_each_claim_says_what_it_claims_and_how_it_is_tested() -> None:
    rows = claims.judge([outcome("classification", {})])
    assert len({(row["id"], row["setting"]) for row in rows}) == len(rows)
    assert all(row["claim"].endswith(".") and row["test"].endswith(".") for row in rows)
    assert {row["id"] for row in rows} >= CASES.keys()


def test_the_file_is_what_the_command_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(__file__).parents[2]
    (tmp_path / "params.yaml").write_text((root / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"reports/claims\.json does not exist"):
        claims.show()
    claims.write([outcome("classification", of("over_supervisor")(0.1))], tmp_path / "reports")
    content = json.loads((tmp_path / "reports/claims.json").read_text())
    assert content["rule"] == claims.RULE
    monkeypatch.setattr(sys, "argv", ["w2s", "claims"])
    assert command.main() == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "holds Naively finetuned students outdo their weak supervisors [classification] (section 4.2)" in printed
    assert re.search(r"\(section 4\.2\): \+10\.0 \[\+9\.\d, \+10\.\d\], mean of 2 ", printed)
    assert "not tested Naively finetuned students outdo" in printed
