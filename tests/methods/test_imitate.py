"""What imitation writes into pairs, says, refuses and costs; its students are in tests/stages/test_student.py."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.core.test_params import written
from tests.methods.test_answer_head import job_of
from tests.methods.test_compatibility import CHESS, SIMULATED, require, reviews
from tests.methods.test_extending import SIZES
from w2s.core import files
from w2s.core.checks import load
from w2s.core.errors import UserError
from w2s.core.params import Method
from w2s.methods import as_ceiling, describe, parts_of, train
from w2s.pipeline.cost.work import stage_passes
from w2s.training.job import Job

METHOD = Method(imitate={"template": "{text} is {label}"})


def test_the_better_text_of_a_pair_gets_yes_and_the_worse_one_no(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, embedded_folder: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    job = replace(job_of(embedded_folder, tmp_path / "out", "preference"), weak="xs")
    ids = job.test["id"].to_pylist()
    # Joined by id.
    shown = np.random.default_rng(1).random(len(ids))
    columns = {"id": ids[::-1], "p": shown[::-1]}
    files.write(files.weak_labels("mine", "xs", 0) / "test.parquet", files.LABELS, columns)
    given: list[Job] = []
    (part,) = parts_of(METHOD)
    part.apply(job, given.append)
    (told,) = given
    for before, after, labels in (
        (job.examples.inputs, told.examples.inputs, job.examples.labels),
        (job.test, told.test, shown),
    ):
        for column, words in (("first", ("no", "yes")), ("second", ("yes", "no"))):
            texts = [
                f"{text} is {words[int(p > 0.5)]}" for text, p in zip(before[column].to_pylist(), labels, strict=True)
            ]
            assert after[column].to_pylist() == texts
        assert after.schema == before.schema
    assert np.array_equal(told.examples.labels, job.examples.labels)
    train(job, parts_of(METHOD))


def test_what_it_says_and_costs(tmp_path: Path) -> None:
    assert describe(METHOD) == (
        "is told the supervisor’s label in every prompt, also of tests: imitation is trivial (paper, section E.3)."
    )
    assert as_ceiling(METHOD) == Method()
    params = load(written(tmp_path / "params.yaml", {"methods.mine": METHOD.model_dump()}))
    item = {"task": "reviews", "weak": "xs", "strong": "l", "seed": "0"}
    naive, mine = (
        list(stage_passes("student", item | {"method": name}, params, {"reviews": SIZES})) for name in ("naive", "mine")
    )
    assert mine == naive


@pytest.mark.parametrize(
    ("method", "block", "expected"),
    [
        ({"template": "i think {label}"}, reviews(), "imitate: template: must have {text} and {label}, each once"),
        (
            {"template": "{text} {label"},
            reviews(),
            "imitate: template: must be a template (expected '}' before end of string)",
        ),
        (
            {"template": "{text} {label}"},
            reviews(simulated=SIMULATED),
            "imitate: 'random-errors' is a simulated supervisor, whose labels of test inputs are made from truth",
        ),
    ],
)
def test_what_it_refuses(tmp_path: Path, method: dict[str, str], block: object, expected: str) -> None:
    with pytest.raises(UserError) as error:
        require(tmp_path / "params.yaml", "classification", {"imitate": method}, block)
    assert str(error.value).startswith(f"params.yaml: methods.mine.{expected}")


def test_it_goes_with_no_other_teacher_and_with_words(tmp_path: Path) -> None:
    imitate = {"imitate": {"template": "{text} {label}"}}
    require(tmp_path / "params.yaml", "generation", imitate, CHESS)
    with pytest.raises(UserError, match="imitate: does not go with rounds, in which others than the supervisor label"):
        require(tmp_path / "params.yaml", "generation", imitate | {"rounds": {"count": 2}}, CHESS)
