"""The paper's claims (Burns et al., 2023), each tested on what the grid measured.

A claim is one function: of the tasks it is given, it returns its effects, one a pair of models (or whatever it
compares), each [seeds, 1 + COLUMNS] as `statistics` has it, positive where the claim is right, and NaN where the pair
cannot be asked (its PGR is undefined): such pairs are counted and said. Its docstring is what is claimed and, after a
blank line, how that is tested. `RULE` says how effects become a verdict.

Methods are found by what they contain, whatever their names: *naive* is the method without parts, and a claim about a
part is tested on every method that has this part alone. Where several qualify (the confidence loss in two strengths),
each adds its effects.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby, product
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from tabulate import tabulate

from w2s.core import checks, files
from w2s.core.errors import UserError
from w2s.results import recipes
from w2s.results.collect import ModelKey
from w2s.results.measure import TaskSummary
from w2s.results.metrics import CHANCE, Array
from w2s.results.statistics import estimate, holm, p_value

RULE = (
    "Within each seed, the effects of all pairs of models (in all tasks of the setting) are averaged; the interval of "
    "this mean is by Student's t over the seeds, each of which draws its own data and models. Its p-value is corrected "
    "(Holm) for all claims tested in this report. A claim holds when the corrected p is below the level and the effect "
    "above 0, does not hold when the effect is below, else it is undecided. Pairs are of a supervisor and a larger "
    "student."
)
FILE = "claims.json"
WIDTH = 118  # characters of a printed line
ALL_SETTINGS = ("classification", "preference", "generation")
# Few-shot prompting "approaches" finetuning: it lacks at most this share of what finetuning adds to chance.
NEAR = 0.1
# A base model whose features tell a linear probe this share of the truth leaves nothing to make clearer.
CLEAR = 0.99
# Simulated supervisors whose errors a student can learn to repeat.
BY_A_RULE = ("hard-errors", "long-errors", "short-errors")
NO_GAP = "no PGR is defined, since no gap between supervisor and ceiling is clearly positive"
LARGER = "a naive student larger than its supervisor"
TWO_SIZES = "two larger students of one supervisor"

Row = dict[str, Any]
Tasks = list[TaskSummary]
Effects = list[Array]
Selection = Callable[[TaskSummary], list[str]]  # some of a task's methods


@dataclass(frozen=True)
class Claim:
    """A claim's function, and the settings it is tested in."""

    effects: Callable[[Tasks], Effects]
    section: str  # of the paper
    settings: tuple[str, ...]  # tested in each of them alone; "" is all of them together
    needs: str  # what the grid lacks where there is no effect
    unless: str  # why pairs are left out, and no grid of such models and tasks could tell

    def test(self, summaries: Tasks, setting: str) -> Row:
        """The row of one setting, but for its verdict."""
        claimed, tested = (" ".join(part.split()) for part in (self.effects.__doc__ or "").split("\n\n"))
        tasks = [task for task in summaries if setting in ("", task.grid.setting)]
        found = self.effects(tasks) if tasks else []
        effects = [effect for effect in found if np.isfinite(effect).all()]
        row: Row = {
            "id": self.effects.__name__.replace("_", "-"),
            "setting": setting,
            "claim": claimed,
            "section": self.section,
            "test": tested,
            "comparisons": len(effects),
            "left_out": len(found) - len(effects),
        }
        if not effects:
            why = f"the grid has no {setting} task"
            if tasks:
                why = f"needs {self.needs}"
                if not any(task.grid.baseline for task in tasks):
                    why += "; no method is the naive one, without parts"
            if found:
                why = self.unless
            return row | {"effect": None, "low": None, "high": None, "p": None, "why": why}
        mean = np.mean(effects, axis=0)
        estimated = estimate(mean, summaries[0].confidence)
        interval = {"effect": estimated.value, "low": estimated.low, "high": estimated.high}
        return row | interval | {"p": p_value(mean), "why": ""}


CLAIMS: list[Claim] = []


def claim(section: str, *settings: str, needs: str, unless: str = "") -> Callable[[Callable[[Tasks], Effects]], None]:
    """Add a claim's function to the list."""
    return lambda effects: CLAIMS.append(Claim(effects, section, settings, needs, unless))


def judge(summaries: Tasks) -> list[Row]:
    """Every claim in every setting that it is made for, with its verdict."""
    rows = [claim.test(summaries, setting) for claim in CLAIMS for setting in claim.settings]
    tested = [row for row in rows if row["p"] is not None]
    for row in rows:
        row |= {"p_corrected": None, "verdict": "not testable here" if row["left_out"] else "not tested"}
    for row, corrected in zip(tested, holm([row["p"] for row in tested]), strict=True):
        direction = "holds" if row["effect"] > 0 else "does not hold"
        clear = corrected < 1 - summaries[0].confidence
        row |= {"p_corrected": corrected, "verdict": direction if clear else "undecided"}
    return rows


# What claims select


def naive(task: TaskSummary) -> list[str]:
    """The method without parts, if the task has it."""
    return [task.grid.baseline] if task.grid.baseline else []


def only(part: str, **options: object) -> Selection:
    """Every method that has this part alone, with these options (see `recipes.only`)."""
    return lambda task: recipes.only(task.grid.methods, part, **options)


def larger_students(task: TaskSummary, methods: list[str]) -> list[ModelKey]:
    """The students by these methods that are larger than their supervisor."""
    return [key for key in task.pairs if key.method in methods and task.sizes[key.strong] > task.sizes[key.weak]]


def ceilings(task: TaskSummary, methods: list[str]) -> list[ModelKey]:
    """The ceilings by these methods."""
    return [key for key in task.metrics if key.role == "ceiling" and key.method in methods]


def pairs(tasks: Tasks, methods: Selection = naive) -> Iterator[tuple[TaskSummary, ModelKey]]:
    """Each task's students by these methods that are larger than their supervisor."""
    for task in tasks:
        for key in larger_students(task, methods(task)):
            yield task, key


def values(tasks: Tasks, metric: str, methods: Selection = naive) -> Effects:
    """A metric of these students, where it is measured."""
    return [task.metrics[key][metric] for task, key in pairs(tasks, methods) if metric in task.metrics[key]]


def along_sizes(tasks: Tasks, metric: str) -> Effects:
    """For each supervisor, a metric of its largest naive student − that of its smallest."""
    rises = []
    for _, group in groupby(pairs(tasks), key=lambda pair: (pair[0].grid.task, pair[1].weak)):
        measured = [(task.sizes[key.strong], task.metrics[key].get(metric)) for task, key in group]
        present = sorted(((size, value) for size, value in measured if value is not None), key=lambda pair: pair[0])
        if len(present) > 1:
            rises.append(present[-1][1] - present[0][1])
    return rises


# The claims


@claim("4.2", *ALL_SETTINGS, needs=LARGER)
def students_beat_supervisors(tasks: Tasks) -> Effects:
    """Naively finetuned students outdo their weak supervisors.

    Accuracy of the naive student − that of its supervisor.
    """
    return values(tasks, "over_supervisor")


@claim("4.2", *ALL_SETTINGS, needs=TWO_SIZES, unless=NO_GAP)
def pgr_grows_with_student_size(tasks: Tasks) -> Effects:
    """Larger students recover more of the gap (in the paper so in classification; in chess it was the other way).

    Naive PGR of a supervisor's largest student − that of its smallest; left out where either is undefined.
    """
    return along_sizes(tasks, "pgr")


@claim("4.2", "", needs="preference tasks and another setting, each with a naive student", unless=NO_GAP)
def naive_pgr_is_lowest_in_reward_modelling(tasks: Tasks) -> Effects:
    """Naive finetuning recovers least of the gap in reward modelling.

    Mean naive PGR of the other setting where it is lowest − that of preference tasks; pairs without a PGR are left out.
    """
    means = {}
    undefined = []
    for setting in ALL_SETTINGS:
        found = values([task for task in tasks if task.grid.setting == setting], "pgr")
        defined = [pgr for pgr in found if np.isfinite(pgr).all()]
        undefined += [pgr for pgr in found if not np.isfinite(pgr).all()]
        if defined:
            means[setting] = np.mean(defined, axis=0)
    rewards = means.pop("preference", None)
    if rewards is None or not means:
        return undefined
    return [min(means.values(), key=lambda mean: mean[:, 0].mean()) - rewards, *undefined]


@claim("4.3.1", "generation", needs="a method that only bootstraps, and the naive one")
def bootstrapping_helps_chess(tasks: Tasks) -> Effects:
    """In chess, passing labels on through models of rising size beats naive finetuning.

    Accuracy of the student by bootstrap − that of the naive one, in generation tasks. Neighbours on the ladder, with no
    model between them, are left out: there both are the same student.
    """
    return [gain for gain in values(tasks, "over_naive", only("bootstrap")) if gain.any()]


@claim("4.3.2", "classification", needs="a method with the confidence loss, the naive one, and two pairs of a task")
def confidence_helps_most_at_large_gaps(tasks: Tasks) -> Effects:
    """The confidence loss helps most where the gap between supervisor and student is large.

    What it adds to naive accuracy at a task's widest gap between supervisor and ceiling − at its narrowest.
    """
    effects = []
    for task in tasks:
        for method in only("loss", function="confidence")(task):
            students = sorted(larger_students(task, [method]), key=lambda student: task.gap(student)[:, 0].mean())
            gains = [task.metrics[key]["over_naive"] for key in students if "over_naive" in task.metrics[key]]
            if len(gains) > 1:
                effects.append(gains[-1] - gains[0])
    return effects


@claim("5.1.1", *ALL_SETTINGS, needs=f"{LARGER}, predicted at several points of training")
def students_overfit_weak_errors(tasks: Tasks) -> Effects:
    """Trained to the end, naive students are less accurate than at the best point of their training.

    Accuracy at the best snapshot − at the end. The snapshot is an oracle's, chosen by truth: on each half of the test
    examples the one that is best on the other half, so that luck in choosing is no overfitting.
    """
    return values(tasks, "overfit")


@claim("5.1.1", *ALL_SETTINGS, needs=f"{LARGER}, predicted at several points of training")
def students_come_to_repeat_errors(tasks: Tasks) -> Effects:
    """Late in training, naive students come to repeat their supervisor's errors.

    Agreement where the supervisor is wrong: at the end − at the snapshot nearest to half of the training.
    """
    return values(tasks, "late_agreement_wrong")


@claim("5.1.2", *ALL_SETTINGS, needs=TWO_SIZES)
def larger_students_agree_less(tasks: Tasks) -> Effects:
    """Larger students agree less with the same supervisor.

    Agreement on all test examples: a supervisor's smallest naive student − its largest.
    """
    return [-rise for rise in along_sizes(tasks, "agreement")]


@claim("5.1.2", *ALL_SETTINGS, needs=TWO_SIZES)
def larger_students_repeat_fewer_errors(tasks: Tasks) -> Effects:
    """Larger students agree less with the errors of the same supervisor.

    Agreement where the supervisor is wrong: its smallest naive student − its largest.
    """
    return [-rise for rise in along_sizes(tasks, "agreement_wrong")]


@claim("E.1", *ALL_SETTINGS, needs="naive students of random-errors (`simulated`) and of the supervisor it is made of")
def random_errors_are_forgiven_more(tasks: Tasks) -> Effects:
    """Random errors in labels, which no student can simulate, are forgiven more than as many errors of a weak model.

    Accuracy of the naive student of random-errors − that of the student of the supervisor they simulate, trained on
    its labels rounded (by a method that only rounds them; naive where the grid has none).
    """
    effects = []
    for task in tasks:
        block = task.grid.block
        rounded = [*only("harden")(task), *naive(task)]
        for weak, strong, method in product(block.simulated.of[:1], block.strong, naive(task)):
            noisy = ModelKey("student", "random-errors", strong, method)
            own = [ModelKey("student", weak, strong, method) for method in rounded]
            present = [key for key in own if key in task.metrics]
            if noisy in task.metrics and present:
                effects.append(task.metrics[noisy]["accuracy"] - task.metrics[present[0]]["accuracy"])
    return effects


@claim("E.2", *ALL_SETTINGS, needs="naive students of random-errors and of hard-, long- or short-errors (`simulated`)")
def errors_by_a_rule_are_forgiven_less(tasks: Tasks) -> Effects:
    """Errors in labels that follow a rule are forgiven less than as many random ones.

    Accuracy of the naive student of random-errors − the mean over those of hard-, long- and short-errors: labels that
    are wrong where the supervisor is least sure, in the longest and in the shortest texts.
    """
    effects = []
    for task in tasks:
        for strong, method in product(task.grid.block.strong, naive(task)):
            accuracies = {
                weak: task.metrics[key]["accuracy"]
                for weak in ("random-errors", *BY_A_RULE)
                if (key := ModelKey("student", weak, strong, method)) in task.metrics
            }
            noisy = accuracies.pop("random-errors", None)
            if noisy is not None and accuracies:
                effects.append(noisy - np.mean([*accuracies.values()], axis=0))
    return effects


@claim(
    "5.2.1",
    *ALL_SETTINGS,
    needs="a few-shot ceiling, and a naive one",
    unless="no ceiling finetuned on truth is clearly above chance",
)
def few_shot_approaches_finetuning(tasks: Tasks) -> Effects:
    """Prompted with a few true examples, models come near finetuning on all of them.

    Accuracy of the few-shot ceiling − (chance + 90 % of what the finetuned ceiling adds to chance; of words, chance
    is 0): near is to lack at most a tenth. Left out where the finetuned one is not clearly above chance.
    """
    effects = []
    for task in tasks:
        chance = CHANCE.get(task.grid.setting, 0.0)
        for finetuned, prompted in product(ceilings(task, naive(task)), ceilings(task, only("few_shot")(task))):
            if finetuned.strong == prompted.strong:
                above_chance = (task.estimates[finetuned, "accuracy"].low or 0) > chance
                near = (1 - NEAR) * (task.metrics[finetuned]["accuracy"] - chance)
                effect = task.metrics[prompted]["accuracy"] - chance - near
                effects.append(effect if above_chance else np.full_like(effect, np.nan))
    return effects


@claim("5.2.2", "preference", needs="a method that only finetunes on texts first, and the naive one")
def generative_finetuning_helps_reward_modelling(tasks: Tasks) -> Effects:
    """Generative finetuning first makes better students in reward modelling.

    Accuracy of the generative student − that of the naive one, in preference tasks. The unlabelled texts of the
    embedded one end in their own reviewers' verdicts: no preferences, but what judges go by.
    """
    return values(tasks, "over_naive", only("generative"))


@claim("5.2.2", "preference", needs="a method that only finetunes on texts first, and the naive one", unless=NO_GAP)
def generative_finetuning_recovers_more(tasks: Tasks) -> Effects:
    """In reward modelling, generative finetuning recovers more of the gap, though it raises the ceiling too.

    PGR of the generative student (against the ceiling of its own method, if it has one) − naive PGR. Of the texts of
    the embedded task, the same is to be said.
    """
    effects = []
    for task, key in pairs(tasks):
        for method in only("generative")(task):
            plain = task.metrics[key]
            generative = task.metrics.get(key._replace(method=method), {})
            if "pgr" in plain and "pgr" in generative:
                effects.append(generative["pgr"] - plain["pgr"])
    return effects


@claim(
    "5.2.3",
    "classification",
    "preference",
    needs="features of naive students and of their base models",
    unless=f"a probe reads over {CLEAR:.0%} of the truth from every base model already",
)
def weak_finetuning_makes_the_concept_clearer(tasks: Tasks) -> Effects:
    """Finetuning on weak labels makes the true concept linearly clearer inside the student.

    Accuracy of a linear probe fitted with truth on the naive student's features − on those of its base model. Left out
    where the latter is over 99 % already.
    """
    effects = []
    for task, key in pairs(tasks):
        student, base = task.metrics[key], task.metrics.get(ModelKey("base", strong=key.strong), {})
        if "probe" in student and "probe" in base:
            rise = student["probe"] - base["probe"]
            effects.append(rise if base["probe"][:, 0].mean() < CLEAR else np.full_like(rise, np.nan))
    return effects


# The file, and the table


def write(summaries: Tasks, folder: Path) -> None:
    """Write claims.json: the rule, the coverage of intervals, and one row a claim and setting."""
    content = {"rule": RULE, "confidence": summaries[0].confidence, "claims": judge(summaries)}
    files.write_json(folder / FILE, content)


def show() -> None:
    """Print the claims of this folder's results; raises `UserError` if there are none."""
    path = Path(checks.load().grid.reports, FILE)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist, so there are no results yet: run `dvc repro` first") from None
    print(table(content))


def table(content: dict[str, Any]) -> str:
    """The claims as text: verdict, claim and effect."""
    rows = []
    for row in content["claims"]:
        setting = row["setting"] and f" [{row['setting']}]"
        section = row["section"] and f" (section {row['section']})"
        effect = row["why"]
        if not effect:
            value, low, high = (100 * row[key] for key in ("effect", "low", "high"))
            effect = f"{value:+.1f} [{low:+.1f}, {high:+.1f}], mean of {row['comparisons']}"
            effect += f", {row['left_out']} left out" if row["left_out"] else ""
        rows.append([row["verdict"], f"{row['claim'].removesuffix('.')}{setting}{section}: {effect}"])
    heading = f"The paper's claims, with effects in points and their {content['confidence']:.0%} intervals"
    claims = tabulate(rows, tablefmt="plain", maxcolwidths=[None, WIDTH - len("does not hold") - 2])
    return "\n\n".join([heading, claims, fill(content["rule"], WIDTH)])
