"""What must be true of a ladder."""

from pathlib import Path

import pytest

from tests.report.made import GENERATION, Cells, Experiment, experiment
from w2s.report.checks import Check, checks, controls
from w2s.report.summary import Summary
from w2s.report.tables import Table

RISES = "Trained on ground truth, larger models are more accurate"
CHANCE = "Without pretraining, the same models stay near chance (50 ± 5 %)"
HALF = "Without pretraining, the same models stay under half of their ceiling"
AGREES = "When a loss comes to trust a student's own answers in full, these agree with its labels (over 55 %)"


def checks_of(made: Experiment) -> dict[str, Check]:
    found = checks(Summary(made.tables, made.grid), made.tables["training"], made.params)
    return {check.claim.replace("\u202f", " "): check for check in found}


@pytest.mark.slow
def test_a_sound_ladder(one: Experiment) -> None:
    statuses = {claim: check.status for claim, check in checks_of(one).items()}
    assert statuses == dict.fromkeys((RISES, CHANCE, AGREES), "holds")


def test_a_ladder_that_does_not_rise(tmp_path: Path) -> None:
    made = experiment(tmp_path, Cells(accuracy={"xs": 0.6, "s": 0.8, "m": 0.8, "l": 0.6}, scratch=0.7))
    found = checks_of(made)
    assert found[RISES].status == "does not hold"
    assert [evidence.status for evidence in found[RISES].evidence] == ["holds", "undecided", "does not hold"]
    assert found[CHANCE].status == "does not hold"


def test_wide_intervals_leave_everything_undecided(tmp_path: Path) -> None:
    accuracy = {"xs": 0.6, "s": 0.64, "m": 0.68, "l": 0.72}
    made = experiment(tmp_path, Cells(accuracy=accuracy, recovered={"naive": 0.5}, spread=0.25))
    assert {check.status for check in checks_of(made).values()} == {"undecided"}


@pytest.mark.slow
def test_ladders_are_checked_in_every_setting(three: Experiment) -> None:
    found = checks_of(three)
    where = {claim: {evidence.where.split(" · ")[0] for evidence in check.evidence} for claim, check in found.items()}
    assert where == {
        RISES: {"reviews", "preferences", "endgames"},
        CHANCE: {"reviews", "preferences"},
        HALF: {"endgames"},
        AGREES: {"reviews"},
    }


@pytest.mark.parametrize(("scratch", "status"), [(0.2, "holds"), (0.3, "undecided"), (0.5, "does not hold")])
def test_below_half_of_a_ceiling_is_decided_by_intervals(tmp_path: Path, scratch: float, status: str) -> None:
    cells = Cells(
        setting="generation",
        tasks=["endgames"],
        weak=["chess-xs"],
        strong=["chess-m"],
        accuracy=GENERATION.accuracy,
        recovered={"naive": 0.3},
        scratch=scratch,
    )
    assert checks_of(experiment(tmp_path, cells))[HALF].status == status


@pytest.mark.parametrize(
    ("warmup", "early", "status"), [(0.2, 0.5, "does not hold"), (0.2, 0.8, "holds"), (0.0, 0.5, "does not hold")]
)
def test_a_student_that_is_barely_trained_must_not_be_trusted(
    tmp_path: Path, warmup: float, early: float, status: str
) -> None:
    made = experiment(tmp_path, Cells())
    made.params.methods["confidence"].parts["loss"]["warmup"] = warmup
    lines = ["task,role,weak,strong,method,step,accuracy"]
    for method in ("naive", "confidence"):
        lines += [f"reviews,student,s,l,{method},{step},{early if step <= 20 else 0.9}" for step in range(1, 101)]
    (tmp_path / "training.csv").write_text("\n".join(lines))
    made.tables["training"] = Table(tmp_path / "training.csv")
    check = checks_of(made)[AGREES]
    assert check.status == status
    assert [evidence[:2] for evidence in check.evidence] == [("s → l · confidence", f"{100 * early:.1f}\u202f%")]


def test_pretraining_has_leaked_where_zero_shot_is_near_the_ceiling(three: Experiment) -> None:
    found = {control.strong: control.leaked for control in controls(Summary(three.tables, three.grid))}
    # zero-shot 97 and 2 %; ceilings 98.5 (l) and 60 to 85 % (chess)
    assert found["l"]
    assert not found["chess-m"]
