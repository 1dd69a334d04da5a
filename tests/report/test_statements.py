"""The answer of each setting, in one sentence."""

from pathlib import Path

from tests.report.made import Cells, Experiment, experiment
from w2s.report.statements import answer
from w2s.report.summary import Summary


def answer_of(made: Experiment, setting: str = "classification") -> str:
    return answer(Summary(made.tables, made.grid), setting, 0.95).replace("\u202f", " ")


def pgr_of(made: Experiment, method: str, weak: str = "xs", strong: str = "l") -> tuple[str, str]:
    """The value as the sentence writes it, and its interval."""
    (row,) = made.tables["pgr"].select(weak=weak, strong=strong, method=method)
    value, low, high = (f"{100 * row[key]:.0f}".replace("-", "−") for key in ("pgr", "low", "high"))
    return f"{value} %", f"{low} to {high} %"


def test_students_that_beat_their_supervisors(one: Experiment) -> None:
    found = answer_of(one)
    assert found.startswith("Yes: ")
    assert "all 4 pairs" in found
    # the widest gap with its ends
    assert "xs → l (supervisor 58.0 %, ceiling 98.5 % correct)" in found
    for method, value in (("naive", "25 %"), ("confidence", "70 %")):
        said, interval = pgr_of(one, method)
        assert said == value
        assert value in found.split(f"the {method} method")[-1]
        assert interval in found


def test_students_that_do_not(tmp_path: Path) -> None:
    found = answer_of(experiment(tmp_path, Cells(recovered={"naive": -0.3, "confidence": -0.2})))
    assert found.startswith("No: ")
    assert "recovers −30 %" in found


def test_students_that_are_neither_ahead_nor_behind(tmp_path: Path) -> None:
    found = answer_of(experiment(tmp_path, Cells(recovered={"naive": 0.0}, strong=["l"])))
    assert found.startswith("Undecided: by no method does a strong student clearly beat its weak supervisor")


def test_a_difference_within_its_interval_is_not_a_win(tmp_path: Path) -> None:
    found = answer_of(experiment(tmp_path, Cells(recovered={"naive": 0.0, "confidence": 0.7}, strong=["l"])))
    assert found.startswith("Partly: ")
    assert "0 of 2 pairs" in found
    assert "with the confidence method, in all 2 pairs" in found


def test_pgr_undefined_everywhere_is_given_with_its_reason(tmp_path: Path) -> None:
    close = {"xs": 0.9, "s": 0.91, "m": 0.92, "l": 0.93}
    found = answer_of(experiment(tmp_path, Cells(accuracy=close, recovered={"naive": 0.0, "confidence": 0.0})))
    assert found.startswith("Undecided: ")
    assert "undefined" in found
    assert "xs → l (gap of 3.0" in found
    assert "recovers" not in found


def test_one_pair_one_method(tmp_path: Path) -> None:
    made = experiment(tmp_path, Cells(weak=["xs"], strong=["l"], recovered={"naive": 0.3}))
    found = answer_of(made)
    assert "the one pair of models" in found
    value, interval = pgr_of(made, "naive")
    assert found.endswith(f"recovers {value} of it (95 % interval {interval}).")


def test_a_student_no_larger_than_its_supervisor_is_no_test_of_the_claim(tmp_path: Path) -> None:
    made = experiment(tmp_path, Cells(weak=["xs", "m"], recovered={"naive": 0.3}))
    assert "3 pairs" in answer_of(made)


def test_every_setting_has_an_answer_of_its_own(three: Experiment) -> None:
    assert "the confidence method 70 %" in answer_of(three)
    assert "chess-xs → chess-l (supervisor 20.0 %, ceiling 85.0 % correct)" in answer_of(three, "generation")
    assert "the bootstrap method 50 %" in answer_of(three, "generation")
    # held against another ceiling than the baseline
    assert answer_of(three, "preference").endswith("of the gap to its own ceiling.")


def test_simulated_supervisors_change_no_answer(one: Experiment, tmp_path: Path) -> None:
    made = experiment(tmp_path, Cells(simulated=["random-errors"]))
    assert made.grid.simulated == ["random-errors"]
    assert answer_of(made) == answer_of(one)
