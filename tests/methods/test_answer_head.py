"""A student whose head is the language model's answers before training as that model does, and learns from there."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.conftest import WORDS, setting_of
from tests.core.test_params import written
from tests.methods.test_compatibility import CHESS, require
from tests.methods.test_extending import SIZES
from w2s.core.checks import load
from w2s.core.errors import UserError
from w2s.core.params import Method
from w2s.methods import as_ceiling, describe, parts_of, train
from w2s.methods.answer_head import AnswerHead
from w2s.models.checkpoints import MissingHeadError
from w2s.pipeline.cost.work import stage_passes
from w2s.settings.base import Examples, Setting
from w2s.training.job import Job

METHOD = Method(answer_head={})
ANSWERS = {"true": ["yes", "good"], "false": ["no"]}


def job_of(folder: Path, out: Path, setting: str = "classification", **changes: object) -> Job:
    student = setting_of(folder, setting, {"answers": ANSWERS}, **changes)
    rng = np.random.default_rng(0)
    columns = [name for name in student.INPUTS.names if name not in ("id", "group")]
    ids = [str(index) for index in range(12)]
    texts = {name: [" ".join(rng.choice(WORDS, rng.integers(2, 6))) for _ in ids] for name in columns}
    inputs = pa.table({"id": ids, **texts, "group": ids}, schema=student.INPUTS)
    return Job(
        setting=student,
        examples=Examples(inputs, rng.random(12), weak=True),
        test=inputs,
        rng_key=("student", "mine", 0),
        out=out,
        name="student",
    )


def started(job: Job) -> Any:
    """The model that the rest of the method starts from."""
    return AnswerHead().apply(job, Job.load)


def answers(setting: Setting, model: Any, inputs: pa.Table) -> np.ndarray:
    return setting.predict(model, setting.encode(inputs))


def asked(folder: Path, text: str) -> float:
    """Log-odds of `yes` against `no` as the next word, by the library alone."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        logits = AutoModelForCausalLM.from_pretrained(folder)(torch.tensor([tokenizer(text)["input_ids"]])).logits
    yes, no = tokenizer.convert_tokens_to_ids(["yes", "no"])
    return float(logits[0, -1, yes] - logits[0, -1, no])


@pytest.mark.parametrize("name", ["embedded_folder", "gpt2_folder"])
@pytest.mark.parametrize("setting", ["classification", "preference"])
def test_before_training_it_answers_as_the_language_model(
    request: pytest.FixtureRequest, tmp_path: Path, setting: str, name: str
) -> None:
    """Weights drawn at random have no bias; the first word alone stands for an answer, as in prompts."""
    folder = request.getfixturevalue(name)
    job = job_of(folder, tmp_path, setting)
    rows = job.test.to_pylist()
    expected = [
        asked(folder, row["text"]) if "text" in row else asked(folder, row["first"]) - asked(folder, row["second"])
        for row in rows
    ]
    found = answers(job.setting, started(job), job.test)
    np.testing.assert_allclose(np.log(found / (1 - found)), expected, rtol=1e-4, atol=1e-5)
    assert np.ptp(expected) > 0.01


def test_the_first_update_is_that_of_the_answer_token(tmp_path: Path, gpt2_folder: Path) -> None:
    """The first loss is cross-entropy on `yes` against `no` as the next token, against the weak labels."""
    job = job_of(gpt2_folder, tmp_path / "student", batch_size=12)
    model = train(job, parts_of(METHOD))
    z = torch.tensor([asked(gpt2_folder, text) for text in job.examples.inputs["text"].to_pylist()]).double()
    targets = torch.tensor(np.stack([job.examples.labels, 1 - job.examples.labels], axis=1))
    pairs = torch.stack([z, torch.zeros_like(z)], dim=1)
    expected = torch.nn.functional.cross_entropy(pairs, targets)
    rows = (tmp_path / "student/live/plots/metrics/loss.tsv").read_text().splitlines()
    assert float(rows[1].split("\t")[1]) == pytest.approx(float(expected), rel=1e-5)
    assert not torch.equal(model.head.weight.detach(), started(job).head.weight.detach())  # it learns


def test_an_encoder_is_refused(tmp_path: Path, bert_folder: Path) -> None:
    with pytest.raises(MissingHeadError, match="an encoder fills masks and cannot go on with a text"):
        started(job_of(bert_folder, tmp_path))


def test_what_it_says_refuses_and_costs(tmp_path: Path) -> None:
    assert describe(METHOD) == "starts from the language model’s own head on the answer words instead of a new head."
    assert as_ceiling(METHOD) == METHOD
    with pytest.raises(UserError) as error:
        require(tmp_path / "params.yaml", "generation", {"answer_head": {}}, CHESS)
    assert str(error.value).startswith("params.yaml: methods.mine.answer_head: not in generation, whose models answer")
    params = load(written(tmp_path / "params.yaml", {"methods.mine": {"answer_head": {}}}))
    item = {"task": "reviews", "weak": "xs", "strong": "l", "seed": "0"}
    naive, mine = (
        list(stage_passes("student", item | {"method": name}, params, {"reviews": SIZES})) for name in ("naive", "mine")
    )
    assert mine[1:] == naive
    assert (mine[0].starts, mine[0].learned, mine[0].read) == (1, 0, 0)
