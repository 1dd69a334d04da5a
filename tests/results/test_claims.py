"""The claims, on made-up summaries that must hold, must not, leave it open or lack what a claim needs."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from tests.results.made_up import CHESS, METHODS, NOT_SIMULATED, PREFERENCES, REVIEWS, SIZES
from w2s import __main__ as command
from w2s.core.errors import UserError
from w2s.core.params import Block, Method
from w2s.results import claims
from w2s.results.collect import ModelKey, TaskGrid
from w2s.results.measure import TaskSummary
from w2s.results.statistics import COLUMNS, Estimate

BLOCKS = {"classification": REVIEWS, "preference": PREFERENCES, "generation": CHESS}
STUDENT = ModelKey("student", "xs", "l", "naive")
BASE = ModelKey("base", strong="l")


RNG = np.random.default_rng(0)


def spread(value: float, width: float = 0.01) -> np.ndarray:
    """A measurement over five seeds with this mean, whose interval reaches about as far as `width` to each side."""
    measured = np.repeat(RNG.normal(size=(5, 1)), 1 + COLUMNS, axis=1)
    measured -= measured.mean()
    return value + measured * width / 1.25


def summary(
    setting: str,
    means: dict[ModelKey, dict[str, float]],
    width: float = 0.01,
    task: str = "",
    recipes: dict[str, Method] | None = None,
    simulated: dict = NOT_SIMULATED,
) -> TaskSummary:
    """A task of one setting with these values, each known to ± width; the methods are those of params.yaml."""
    methods = recipes or {name: METHODS[name] for name in dict.fromkeys(["naive", *methods_of(means)])}
    found = {name: {metric: spread(v, width) for metric, v in values.items()} for name, values in means.items()}
    estimates = {(n, m): Estimate(v, v - width, v + width) for n, values in means.items() for m, v in values.items()}
    lists = {"methods": list(methods), "ceilings": [next(iter(methods))], "simulated": simulated}
    block = Block(**BLOCKS[setting] | lists)
    grid = TaskGrid(
        task=task or block.tasks[0],
        setting=setting,
        block=block,
        seeds=[0],
        methods=methods,
    )
    return TaskSummary(grid=grid, sizes=SIZES, confidence=0.95, metrics=found, estimates=estimates)


def methods_of(means: dict[ModelKey, dict[str, float]]) -> list[str]:
    return [key.method for key in means if key.method]


def row(id: str, *summaries: TaskSummary, setting: str | None = None) -> dict:
    rows = {(row["id"], row["setting"]): row for row in claims.judge([*summaries])}
    return rows[id, summaries[0].grid.setting if setting is None else setting]


def of(metric: str, method: str = "naive") -> Callable[[float], dict]:
    """Students of xs, s and l by a method, each with this value of a metric."""
    return lambda value: {ModelKey("student", "xs", strong, method): {metric: value} for strong in ("s", "l")}


def ladder(metric: str) -> Callable[[float], dict]:
    """A value that rises by this much from the smaller student to the larger."""
    return lambda rise: {ModelKey("student", "xs", s, "naive"): {metric: 0.4 + r} for s, r in (("s", 0.0), ("l", rise))}


def with_gaps(rise: float) -> dict:
    """A gain by the confidence loss that is so much larger at the gap xs → l than at s → l."""
    accuracy = {ModelKey("supervisor", "xs"): 0.6, ModelKey("supervisor", "s"): 0.8}
    accuracy[ModelKey("ceiling", strong="l", method="naive")] = 0.95
    gains = {
        ModelKey("student", weak, "l", "confidence"): {"over_naive": 0.02 + r} for weak, r in (("xs", rise), ("s", 0))
    }
    return {name: {"accuracy": value} for name, value in accuracy.items()} | gains


def probes(gain: float) -> dict:
    return {STUDENT: {"probe": 0.7 + gain}, BASE: {"probe": 0.7}}


def prompted(above: float) -> dict:
    """A few-shot ceiling so much above what is near: 50 % + 0.9 × 40 points."""
    few = ModelKey("ceiling", strong="l", method="few-shot")
    naive = ModelKey("ceiling", strong="l", method="naive")
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
    found = row(id, summary(setting, means(effect) if effect is not None else {}))
    assert found["verdict"] == verdict
    if effect is None:
        assert found["effect"] is None
        assert found["why"].startswith("needs ")
    else:
        assert found["effect"] == pytest.approx(effect)
        assert found["low"] < effect < found["high"]


def test_verdicts_by_scipy_and_by_hand() -> None:
    """Every tested claim of a report with weak and strong effects: t tests over seeds by SciPy, Holm step by step."""
    rng = np.random.default_rng(3)
    tasks = []
    for task in ("one", "two"):
        students = ladder("agreement")(0.0)
        for key in students:
            students[key] |= {"over_supervisor": 0.0, "overfit": 0.0, "agreement_wrong": 0.0, "pgr": 0.0}
        made = summary("classification", students, task=task)
        for values in made.metrics.values():
            for place, metric in enumerate(values):
                values[metric] = rng.normal(0.03 * place, 0.02, (5, 1)) * np.ones((1, 1 + COLUMNS))
        tasks.append(made)
    small, large = ([task.metrics[ModelKey("student", "xs", s, "naive")] for task in tasks] for s in ("s", "l"))
    by_seed = {
        metric: [values[metric][:, 0] for values in [*small, *large]] for metric in ("over_supervisor", "overfit")
    } | {
        metric: [sign * (b[metric] - a[metric])[:, 0] for a, b in zip(small, large, strict=True)]
        for metric, sign in (("pgr", 1), ("agreement", -1), ("agreement_wrong", -1))
    }
    ids = {
        "students-beat-supervisors": "over_supervisor",
        "pgr-grows-with-student-size": "pgr",
        "students-overfit-weak-errors": "overfit",
        "larger-students-agree-less": "agreement",
        "larger-students-repeat-fewer-errors": "agreement_wrong",
    }
    tests = {id: scipy.stats.ttest_1samp(np.mean(by_seed[metric], axis=0), 0) for id, metric in ids.items()}
    rejected = set()
    for step, id in enumerate(sorted(tests, key=lambda id: tests[id].pvalue)):
        if tests[id].pvalue * (len(tests) - step) >= 0.05:
            break
        rejected.add(id)
    rows = {row["id"]: row for row in claims.judge(tasks) if row["verdict"] != "not tested"}
    assert rows.keys() == ids.keys()
    assert 0 < len(rejected) < len(ids)
    for id, row in rows.items():
        interval = tests[id].confidence_interval(0.95)
        assert (row["low"], row["high"], row["p"]) == pytest.approx((interval.low, interval.high, tests[id].pvalue))
        expected = "undecided" if id not in rejected else "holds" if row["effect"] > 0 else "does not hold"
        assert row["verdict"] == expected, id


def test_pairs_that_cannot_be_asked_are_counted_and_change_no_other() -> None:
    students = {ModelKey("student", weak, "l", "naive"): {"overfit": 0.1} for weak in ("xs", "s")}
    task = summary("classification", students)
    before = row("students-overfit-weak-errors", task)
    assert (before["comparisons"], before["left_out"]) == (2, 0)
    task.metrics[ModelKey("student", "s", "l", "naive")]["overfit"][0] = np.nan
    after = row("students-overfit-weak-errors", task)
    assert (after["comparisons"], after["left_out"], after["verdict"]) == (1, 1, "holds")


@pytest.mark.parametrize(("id", "setting", "means"), [(id, *case) for id, case in CASES.items()])
def test_methods_may_have_any_name(id: str, setting: str, means: Callable[[float], dict]) -> None:
    renamed = {key._replace(method=key.method and f"my-{key.method}"): values for key, values in means(0.1).items()}
    methods = {f"my-{name}": METHODS[name] for name in dict.fromkeys(["naive", *methods_of(means(0.1))])}
    found = row(id, summary(setting, renamed, recipes=methods))
    assert found["verdict"] == "holds"
    assert found["effect"] == pytest.approx(0.1)


@pytest.mark.parametrize(("id", "setting", "means"), [(id, *case) for id, case in CASES.items()])
def test_a_name_stands_for_nothing(id: str, setting: str, means: Callable[[float], dict]) -> None:
    """Whatever a claim is about, methods of the same names but of other content say nothing of it."""
    names = dict.fromkeys(["naive", *methods_of(means(0.1))])
    found = row(id, summary(setting, means(0.1), recipes=dict.fromkeys(names, METHODS["kl"])))
    assert found["verdict"] == "not tested"
    assert found["why"].endswith("no method is the naive one, without parts")
    only_naive = {name: METHODS["naive" if name == "naive" else "kl"] for name in names}
    found = row(id, summary(setting, means(0.1), recipes=only_naive))
    assert found["verdict"] == ("holds" if len(names) == 1 else "not tested")


def test_recipes_of_other_strength_all_count() -> None:
    both = {
        key._replace(method=method) if key.role == "student" else key: values
        for rise, method in ((0.1, "confidence"), (0.2, "bolder"))
        for key, values in with_gaps(rise).items()
    }
    bolder = Method(loss={"function": "confidence", "alpha_max": 0.9, "warmup": 0.2})
    methods = {"naive": METHODS["naive"], "confidence": METHODS["confidence"], "bolder": bolder}
    found = row("confidence-helps-most-at-large-gaps", summary("classification", both, recipes=methods))
    assert (found["comparisons"], found["verdict"]) == (2, "holds")
    assert found["effect"] == pytest.approx(0.15)


def test_a_claim_is_added_in_one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "CLAIMS", claims.CLAIMS.copy())

    @claims.claim("9.9", "classification", needs="a moon")
    def moons_are_round(tasks: list[TaskSummary]) -> list[np.ndarray]:
        """Moons are round.

        Roundness − 0.
        """
        return [spread(0.3) for _ in tasks]

    found = row("moons-are-round", summary("classification", {}))
    assert found["verdict"] == "holds"
    assert (found["claim"], found["test"], found["section"]) == ("Moons are round.", "Roundness − 0.", "9.9")


@pytest.mark.parametrize(("gain", "verdict"), [(0.05, "holds"), (-0.05, "does not hold")])
def test_chess_is_asked_of_bootstrapping(gain: float, verdict: str) -> None:
    students = {
        ModelKey("student", weak, "chess-l", "bootstrap"): {"over_naive": gain} for weak in ("chess-xs", "chess-s")
    }
    assert row("bootstrapping-helps-chess", summary("generation", students))["verdict"] == verdict


def test_a_way_without_rungs_says_nothing_of_bootstrapping() -> None:
    between, neighbours = (ModelKey("student", weak, "chess-l", "bootstrap") for weak in ("chess-xs", "chess-s"))
    task = summary("generation", {between: {"over_naive": 0.05}, neighbours: {"over_naive": 0.0}})
    task.metrics[neighbours]["over_naive"][:] = 0  # the same student as by naive, in every replicate
    found = row("bootstrapping-helps-chess", task)
    assert (found["comparisons"], found["effect"]) == (1, 0.05)


def test_reward_modelling_is_compared_with_the_lowest_other_setting() -> None:
    chess = {ModelKey("student", "chess-xs", "chess-l", "naive"): {"pgr": 0.3}}
    tasks = [summary("classification", of("pgr")(0.5)), summary("generation", chess)]
    lowest = "naive-pgr-is-lowest-in-reward-modelling"
    assert row(lowest, *tasks, setting="")["verdict"] == "not tested"
    assert row(lowest, *tasks, summary("preference", of("pgr")(0.1)), setting="")["effect"] == pytest.approx(0.2)
    assert row(lowest, *tasks, summary("preference", of("pgr")(0.4)), setting="")["verdict"] == "does not hold"


@pytest.mark.parametrize(
    ("setting", "weak", "strong"),
    [("classification", "xs", "l"), ("preference", "xs", "l"), ("generation", "chess-xs", "chess-l")],
)
def test_random_errors_are_compared_with_rounded_labels_or_with_naive(setting: str, weak: str, strong: str) -> None:
    naive = ModelKey("student", weak, strong, "naive")
    simulated = {"of": [weak], "weak": ["random-errors"], "methods": ["naive"]}
    means = {naive._replace(weak="random-errors"): {"accuracy": 0.9}, naive: {"accuracy": 0.8}}
    id = "random-errors-are-forgiven-more"
    assert row(id, summary(setting, means, simulated=simulated))["effect"] == pytest.approx(0.1)
    means[naive._replace(method="hard")] = {"accuracy": 0.95}
    assert row(id, summary(setting, means, simulated=simulated))["verdict"] == "does not hold"
    assert row(id, summary(setting, means))["verdict"] == "not tested"


def test_random_errors_are_compared_with_the_mean_of_those_by_a_rule() -> None:
    student = ModelKey("student", "", "l", "naive")
    accuracies = {"random-errors": 0.9, "long-errors": 0.8, "short-errors": 0.7, "class-errors": 0.1}
    simulated = {"of": ["xs"], "weak": [*accuracies], "methods": ["naive"]}
    means = {student._replace(weak=weak): {"accuracy": value} for weak, value in accuracies.items()}
    id = "errors-by-a-rule-are-forgiven-less"
    found = row(id, summary("classification", means, simulated=simulated))
    assert (found["verdict"], found["comparisons"]) == ("holds", 1)
    assert found["effect"] == pytest.approx(0.15)
    del means[student._replace(weak="random-errors")]
    assert row(id, summary("classification", means, simulated=simulated))["verdict"] == "not tested"


def test_students_no_larger_than_their_supervisor_and_undefined_values_are_left_out() -> None:
    students = {ModelKey("student", "s", "s", "naive"): {"over_supervisor": -0.3}}
    assert row("students-beat-supervisors", summary("classification", students))["verdict"] == "not tested"
    students |= of("over_supervisor")(0.1) | {ModelKey("student", "s", "l", "naive"): {"over_supervisor": np.nan}}
    found = row("students-beat-supervisors", summary("classification", students))
    assert (found["comparisons"], found["verdict"]) == (2, "holds")


def test_prompting_is_not_held_against_finetuning_that_learnt_nothing() -> None:
    few = ModelKey("ceiling", strong="l", method="few-shot")
    naive = ModelKey("ceiling", strong="l", method="naive")
    means = {few: {"accuracy": 0.5}, naive: {"accuracy": 0.505}}
    found = row("few-shot-approaches-finetuning", summary("classification", means))
    assert found["verdict"] == "not testable here"
    assert found["why"] == "no ceiling finetuned on truth is clearly above chance"


def test_without_a_gap_no_claim_of_pgr_can_be_tested() -> None:
    found = row("pgr-grows-with-student-size", summary("classification", ladder("pgr")(np.nan)))
    assert (found["verdict"], found["effect"], found["left_out"]) == ("not testable here", None, 1)
    assert found["why"].startswith("no PGR is defined")


def test_what_a_base_model_tells_already_cannot_become_clearer() -> None:
    base = ModelKey("base", strong="l")
    means = probes(0.004) | {base: {"probe": 0.995}}
    found = row("weak-finetuning-makes-the-concept-clearer", summary("classification", means))
    assert (found["verdict"], found["effect"]) == ("not testable here", None)
    assert found["why"].startswith("a probe reads over 99%")


def test_a_setting_that_the_grid_lacks_is_not_tested() -> None:
    found = row("students-beat-supervisors", summary("classification", {}), setting="generation")
    assert (found["verdict"], found["why"]) == ("not tested", "the grid has no generation task")


def test_each_claim_says_what_it_claims_and_how_it_is_tested() -> None:
    rows = claims.judge([summary("classification", {})])
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
    claims.write([summary("classification", of("over_supervisor")(0.1))], tmp_path / "reports")
    content = json.loads((tmp_path / "reports/claims.json").read_text())
    assert content["rule"] == claims.RULE
    monkeypatch.setattr(sys, "argv", ["w2s", "claims"])
    assert command.main() == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "holds Naively finetuned students outdo their weak supervisors [classification] (section 4.2)" in printed
    assert re.search(r"\(section 4\.2\): \+10\.0 \[\+9\.\d, \+10\.\d\], mean of 2 ", printed)
    assert "not tested Naively finetuned students outdo" in printed
