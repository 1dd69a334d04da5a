"""The surest labels are kept, whatever the order they stand in, and cost what they cost."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_params import written
from tests.methods.test_compatibility import CHESS, SIMULATED, require, reviews
from tests.methods.test_extending import SIZES, job_of, predicted
from w2s.core.checks import load
from w2s.core.errors import UserError
from w2s.core.params import Method
from w2s.methods import as_ceiling, describe, parts_of, train
from w2s.methods.confident import surest
from w2s.pipeline.cost.work import stage_passes
from w2s.training.finetune import finetune

HALF = Method(confident={"share": 0.5})


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0.01, 0.99))
def test_none_that_is_left_out_is_surer_than_one_kept(labels: list[float], share: float) -> None:
    kept = surest(np.array(labels), share)
    assert sorted(set(kept)) == list(kept)
    assert len(kept) == max(1, round(share * len(labels)))
    distance = [max(p, 1 - p) for p in labels]
    left = set(range(len(labels))) - set(kept)
    assert all(distance[one] <= distance[other] + 1e-12 for one in left for other in kept)


def test_of_equals_the_first_are_kept() -> None:
    assert surest(np.array([0.5, 0.25, 0.75, 0.25]), 0.5).tolist() == [1, 2]


def test_a_student_learns_the_surest_half(tmp_path: Path, embedded_folder: Path) -> None:
    job = job_of(embedded_folder, tmp_path / "part")
    train(job, parts_of(HALF))
    by_distance = sorted(range(8), key=lambda index: -abs(job.examples.labels[index] - 0.5))
    kept = sorted(by_distance[:4])
    examples = replace(job.examples, inputs=job.examples.inputs.take(kept), labels=job.examples.labels[kept])
    finetune(replace(job, examples=examples, out=tmp_path / "by-hand"))
    assert predicted(tmp_path / "part") == predicted(tmp_path / "by-hand")
    assert json.loads((tmp_path / "part" / "run.json").read_text())["examples"] == 4


def test_it_costs_half_the_updates(tmp_path: Path) -> None:
    params = load(written(tmp_path / "params.yaml", {"methods.mine": {"confident": {"share": 0.5}}}))
    item = {"task": "reviews", "weak": "xs", "strong": "l", "seed": "0"}
    naive, mine = (
        next(stage_passes("student", item | {"method": name}, params, {"reviews": SIZES})) for name in ("naive", "mine")
    )
    assert mine.learned == naive.learned / 2
    assert mine.starts == naive.starts


def test_what_it_says_and_what_a_ceiling_has_of_it() -> None:
    assert describe(HALF) == "learns the 50% of the examples of which the supervisor is surest."
    assert as_ceiling(HALF) == Method()


@pytest.mark.parametrize(
    ("setting", "share", "block", "expected"),
    [
        ("generation", 0.5, CHESS, "not in generation: answers in words do not tell how sure a supervisor is"),
        ("classification", 1.0, reviews(), "share: must be less than 1 (found 1.0)"),
        ("classification", 0.0, reviews(), "share: must be greater than 0 (found 0.0)"),
        (
            "classification",
            0.5,
            reviews(simulated=SIMULATED),
            "'random-errors' is a simulated supervisor, whose labels do not tell how sure it is",
        ),
    ],
)
def test_what_it_refuses(tmp_path: Path, setting: str, share: float, block: object, expected: str) -> None:
    with pytest.raises(UserError) as error:
        require(tmp_path / "params.yaml", setting, {"confident": {"share": share}}, block)
    assert str(error.value) == f"params.yaml: methods.mine.confident: {expected}"
