"""The paper's claims (Burns et al., 2023), each held against what the grid measured.

A claim is one function: of the tasks it is given, it returns its effects, one a pair of models (or whatever it
compares), each on the sample and all replicates, positive where the claim is right. Its docstring is what is claimed
and, after a blank line, how that is tested. `RULE` says how effects become a verdict.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from w2s.core import checks, files
from w2s.core.errors import UserError
from w2s.results.evaluation import Name, Outcome
from w2s.results.metrics import CHANCE, Array
from w2s.results.statistics import estimate

RULE = (
    "The effects of all pairs of models (in all tasks of the setting) are averaged in every bootstrap replicate. A "
    "claim holds when the interval of this mean lies above 0, does not hold when it lies below, else it is undecided. "
    "Pairs are of a supervisor and a larger student; nothing is corrected for the number of claims."
)
FILE = "claims.json"
EVERY = ("classification", "preference", "generation")
NEAR = 0.1  # few-shot prompting "approaches" finetuning: it lacks at most this share of what finetuning adds to chance
LARGER, TWO_SIZES = "a naive student larger than its supervisor", "two larger students of one supervisor"

Row = dict[str, Any]
Tasks = list[Outcome]
Effects = list[Array]


@dataclass(frozen=True)
class Claim:
    """What a claim's function says, and where it is asked."""

    effects: Callable[[Tasks], Effects]
    section: str  # of the paper
    settings: tuple[str, ...]  # asked in each of them alone; "" is all of them together
    needs: str  # what the grid lacks where there is no effect

    def judge(self, outcomes: Tasks, setting: str) -> Row:
        """The row of one setting."""
        says, how = (" ".join(part.split()) for part in (self.effects.__doc__ or "").split("\n\n"))
        tasks = [outcome for outcome in outcomes if setting in ("", outcome.setting)]
        effects = [effect for effect in self.effects(tasks) if np.isfinite(effect[0])] if tasks else []
        row: Row = {"id": self.effects.__name__.replace("_", "-"), "setting": setting, "claim": says}
        row |= {"section": self.section, "test": how, "comparisons": len(effects)}
        if not effects:
            why = f"the grid has no {setting} task" if not tasks else f"needs {self.needs}"
            return row | {"effect": None, "low": None, "high": None, "verdict": "not tested", "why": why}
        mean = estimate(np.mean(effects, axis=0), outcomes[0].confidence)
        assert mean.low is not None
        assert mean.high is not None
        verdict = "holds" if mean.low > 0 else "does not hold" if mean.high < 0 else "undecided"
        return row | {"effect": mean.value, "low": mean.low, "high": mean.high, "verdict": verdict, "why": ""}


CLAIMS: list[Claim] = []


def claim(section: str, *settings: str, needs: str) -> Callable[[Callable[[Tasks], Effects]], None]:
    """Add a claim's function to the list."""
    return lambda effects: CLAIMS.append(Claim(effects, section, settings, needs))


def judge(outcomes: Tasks) -> list[Row]:
    """Every claim in every setting that it is made for."""
    return [claim.judge(outcomes, setting) for claim in CLAIMS for setting in claim.settings]


# What claims are made of


def pairs(tasks: Tasks, method: str = "naive") -> Iterator[tuple[Outcome, Name]]:
    """The students by a method that are larger than their supervisor."""
    for task in tasks:
        for name in task.pairs:
            if name.method == method and task.sizes[name.strong] > task.sizes[name.weak]:
                yield task, name


def values(tasks: Tasks, metric: str, method: str = "naive") -> Effects:
    """A metric of these students, where it is defined."""
    return [task.means[name][metric] for task, name in pairs(tasks, method) if metric in task.means[name]]


def along_sizes(tasks: Tasks, metric: str) -> Effects:
    """For each supervisor, a metric of its largest student − that of its smallest."""
    rises = []
    for _, group in groupby(pairs(tasks), key=lambda pair: (pair[0].task, pair[1].weak)):
        known = [(task.sizes[name.strong], task.means[name].get(metric)) for task, name in group]
        rungs = [(size, value) for size, value in known if value is not None and np.isfinite(value[0])]
        rungs.sort(key=lambda rung: rung[0])
        if len(rungs) > 1:
            rises.append(rungs[-1][1] - rungs[0][1])
    return rises


# The claims


@claim("4.2", *EVERY, needs=LARGER)
def students_beat_supervisors(tasks: Tasks) -> Effects:
    """Naively finetuned students outdo their weak supervisors.

    Accuracy of the naive student − that of its supervisor.
    """
    return values(tasks, "over_supervisor")


@claim("4.2", *EVERY, needs=f"{TWO_SIZES}, with a PGR")
def pgr_grows_with_student_size(tasks: Tasks) -> Effects:
    """Larger students recover more of the gap (in the paper so in classification; in chess it was the other way).

    Naive PGR of a supervisor's largest student − that of its smallest, both where PGR is defined.
    """
    return along_sizes(tasks, "pgr")


@claim("4.2", "", needs="preference tasks and another setting, each with a naive PGR")
def naive_pgr_is_lowest_in_reward_modelling(tasks: Tasks) -> Effects:
    """Naive finetuning recovers least of the gap in reward modelling.

    Mean naive PGR of the other setting where it is lowest − that of preference tasks.
    """
    found = {setting: values([task for task in tasks if task.setting == setting], "pgr") for setting in EVERY}
    means = {setting: np.mean(pgr, axis=0) for setting, pgr in found.items() if pgr}
    rewards = means.pop("preference", None)
    return [] if rewards is None or not means else [min(means.values(), key=lambda mean: mean[0]) - rewards]


@claim("4.3.1", "generation", needs="the methods bootstrap and naive")
def bootstrapping_helps_chess(tasks: Tasks) -> Effects:
    """In chess, passing labels on through models of rising size beats naive finetuning.

    Accuracy of the student by bootstrap − that of the naive one, in generation tasks. Neighbours on the ladder, with no
    model between them, are left out: there both are the same student.
    """
    return [gain for gain in values(tasks, "over_naive", "bootstrap") if gain.any()]


@claim("4.3.2", "classification", needs="the methods confidence and naive, and two pairs of a task")
def confidence_helps_most_at_large_gaps(tasks: Tasks) -> Effects:
    """The confidence loss helps most where the gap between supervisor and student is large.

    What it adds to naive accuracy at a task's widest gap between supervisor and ceiling − at its narrowest.
    """
    effects = []
    for _, group in groupby(pairs(tasks, "confidence"), key=lambda pair: pair[0].task):
        gaps = sorted(group, key=lambda pair: pair[0].gap(pair[1])[0])
        narrow, wide = (values_of.get("over_naive") for values_of in (gaps[i][0].means[gaps[i][1]] for i in (0, -1)))
        if len(gaps) > 1 and narrow is not None and wide is not None:
            effects.append(wide - narrow)
    return effects


@claim("5.1.1", *EVERY, needs=f"{LARGER}, predicted at several points of training")
def students_overfit_weak_errors(tasks: Tasks) -> Effects:
    """Trained to the end, naive students are less accurate than at the best point of their training.

    Accuracy at the best snapshot − at the end. The snapshot is an oracle's, chosen by truth: on each half of the test
    examples the one that is best on the other half, so that luck in choosing is no overfitting.
    """
    return values(tasks, "overfit")


@claim("5.1.1", *EVERY, needs=f"{LARGER}, predicted at several points of training")
def students_come_to_repeat_errors(tasks: Tasks) -> Effects:
    """Late in training, naive students come to repeat their supervisor's errors.

    Agreement where the supervisor is wrong: at the end − at the snapshot nearest to half of the training.
    """
    return values(tasks, "late_agreement_wrong")


@claim("5.1.2", *EVERY, needs=TWO_SIZES)
def larger_students_agree_less(tasks: Tasks) -> Effects:
    """Larger students agree less with the same supervisor.

    Agreement on all test examples: a supervisor's smallest naive student − its largest.
    """
    return [-rise for rise in along_sizes(tasks, "agreement")]


@claim("5.1.2", *EVERY, needs=TWO_SIZES)
def larger_students_repeat_fewer_errors(tasks: Tasks) -> Effects:
    """Larger students agree less with the errors of the same supervisor.

    Agreement where the supervisor is wrong: its smallest naive student − its largest.
    """
    return [-rise for rise in along_sizes(tasks, "agreement_wrong")]


@claim("5.1", "classification", needs="students of random-errors and of the supervisor they simulate (grid.simulated)")
def random_errors_are_forgiven_more(tasks: Tasks) -> Effects:
    """Random errors in labels are forgiven more than as many errors of a weak model.

    Accuracy of the naive student of random-errors − that of the student of the supervisor they simulate, trained on
    its labels rounded (method hard; naive where the grid has no hard).
    """
    effects = []
    for task in tasks:
        for strong in task.simulated.strong:
            names = [Name("student", task.simulated.of, strong, method) for method in ("hard", "naive")]
            own = next((name for name in names if name in task.means), None)
            noisy = Name("student", "random-errors", strong, "naive")
            if own and noisy in task.means:
                effects.append(task.means[noisy]["accuracy"] - task.means[own]["accuracy"])
    return effects


@claim("5.2.1", *EVERY, needs="a few-shot ceiling, and a naive one clearly above chance")
def few_shot_approaches_finetuning(tasks: Tasks) -> Effects:
    """Prompted with a few true examples, models come near finetuning on all of them.

    Accuracy of the few-shot ceiling − (chance + 90 % of what the finetuned ceiling adds to chance; of words, chance
    is 0): near is to lack at most a tenth.
    """
    effects = []
    for task in tasks:
        chance = CHANCE.get(task.setting, 0.0)
        for strong in task.block.strong:
            few, naive = (Name("ceiling", strong=strong, method=method) for method in ("few-shot", "naive"))
            if few in task.means and naive in task.means and (task.estimates[naive, "accuracy"].low or 0) > chance:
                prompted, tuned = task.means[few]["accuracy"], task.means[naive]["accuracy"]
                effects.append(prompted - chance - (1 - NEAR) * (tuned - chance))
    return effects


@claim("5.2.2", "preference", needs="the methods generative and naive")
def generative_finetuning_helps_reward_modelling(tasks: Tasks) -> Effects:
    """Generative finetuning first makes better students in reward modelling.

    Accuracy of the generative student − that of the naive one, in preference tasks. The unlabelled texts of the
    embedded one end in their own reviewers' verdicts: no preferences, but what judges go by.
    """
    return values(tasks, "over_naive", "generative")


@claim("5.2.2", "preference", needs="the methods generative and naive, each with a PGR")
def generative_finetuning_recovers_more(tasks: Tasks) -> Effects:
    """In reward modelling, generative finetuning recovers more of the gap, though it raises the ceiling too.

    PGR of the generative student (against the ceiling of its own method, if it has one) − naive PGR. Of the texts of
    the embedded task, the same is to be said.
    """
    both = [(task.means[name], task.means.get(name._replace(method="generative"), {})) for task, name in pairs(tasks)]
    return [generative["pgr"] - naive["pgr"] for naive, generative in both if "pgr" in naive and "pgr" in generative]


@claim("5.2.3", "classification", "preference", needs="features of naive students and of their base models")
def weak_finetuning_makes_the_concept_clearer(tasks: Tasks) -> Effects:
    """Finetuning on weak labels makes the true concept linearly clearer inside the student.

    Accuracy of a linear probe fitted with truth on the naive student's features − on those of its base model.
    """
    both = [(task.means[name], task.means.get(Name("base", strong=name.strong), {})) for task, name in pairs(tasks)]
    return [student["probe"] - base["probe"] for student, base in both if "probe" in student and "probe" in base]


# The file, and the table


def write(outcomes: Tasks, folder: Path) -> None:
    """Write claims.json: the rule, the coverage of intervals, and one row a claim and setting."""
    content = {"rule": RULE, "confidence": outcomes[0].confidence, "claims": judge(outcomes)}
    files.write_json(folder / FILE, content)


def show() -> None:
    """Print the claims of this folder's results."""
    path = Path(checks.load().grid.reports, FILE)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist, so there are no results yet: run `dvc repro` first") from None
    print(*table(content), sep="\n")


def table(content: dict[str, Any]) -> list[str]:
    """The claims as lines of text: verdict, effect, claim."""
    lines = [f"The paper's claims, with effects in points and their {content['confidence']:.0%} intervals", ""]
    for row in content["claims"]:
        where, section = row["setting"] and f" [{row['setting']}]", row["section"] and f" (section {row['section']})"
        found = row["why"] or "{effect:+.1f} [{low:+.1f}, {high:+.1f}], mean of {comparisons}".format(
            **row | {key: 100 * row[key] for key in ("effect", "low", "high")}
        )
        says = f"{row['claim'].removesuffix('.')}{where}{section}: {found}"
        lines.append(fill(says, 118, initial_indent=f"  {row['verdict']:<13}  ", subsequent_indent=" " * 17))
    return [*lines, "", fill(content["rule"], 118)]
