"""One text in, P(true) out."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

from tests.conftest import HPARAMS, setting_of
from w2s.core import files
from w2s.core.errors import UserError
from w2s.core.files import TEXTS
from w2s.models.checkpoints import load_tokenizer
from w2s.models.heads import ScalarHead
from w2s.settings import setting_class
from w2s.settings.classification import Classification


def inputs(*texts: str) -> pa.Table:
    ids = [str(index) for index in range(len(texts))]
    return pa.table({"id": ids, "text": texts, "group": ids}, schema=TEXTS)


FOOD = inputs("the food was", "was a room not", "yes", "the room is not bad and the food is poor", "no")
WORDS = {"true": ["good", "fine"], "false": ["bad", "poor", "no"]}


def test_it_is_found_by_name(embedded_folder: Path) -> None:
    assert setting_class("classification", "here") is Classification
    assert isinstance(setting_of(embedded_folder), Classification)
    with pytest.raises(UserError, match=r"^params.yaml: tasks.mine.setting: unknown name 'clasification' .*; did you"):
        setting_of(embedded_folder, "clasification")


def test_answers_in_words_are_no_labels(embedded_folder: Path, tmp_path: Path) -> None:
    files.write(tmp_path / "inputs.parquet", TEXTS, dict(zip(FOOD.column_names, FOOD.columns, strict=True)))
    files.write(tmp_path / "labels.parquet", files.ANSWERS, {"id": FOOD["id"], "answer": ["yes"] * len(FOOD)})
    with pytest.raises(UserError, match=r"labels.parquet: holds answers in words, which mine does not ask for"):
        setting_of(embedded_folder).read(tmp_path / "inputs.parquet", tmp_path / "labels.parquet")


@pytest.mark.parametrize("texts", [[""], ["", "the food was"]])
def test_a_text_without_a_token_is_refused(gpt2_folder: Path, texts: list[str]) -> None:
    with pytest.raises(UserError, match=r"the text '' has not one token"):
        setting_of(gpt2_folder).encode(inputs(*texts))


@pytest.mark.parametrize("context", [20, 64])
def test_a_text_too_long_loses_its_front(checkpoint: Path, context: int) -> None:
    tokenizer = load_tokenizer(checkpoint)
    setting = setting_of(checkpoint, context=context)
    text = " ".join(["good"] * 40 + ["poor"] * 30 + ["fine"])
    whole = tokenizer(text)["input_ids"]
    cut, short = setting.encode(inputs(text, "good food"))
    # Never more than the model reads.
    assert len(whole) > len(cut) == min(context, tokenizer.model_max_length)
    assert setting.length(cut) == len(cut)
    assert tokenizer.decode(cut, skip_special_tokens=True).endswith("poor fine")
    specials = set(tokenizer.all_special_ids)
    assert [token in specials for token in (cut[0], cut[-1])] == [token in specials for token in (whole[0], whole[-1])]
    assert short == tokenizer("good food")["input_ids"]


def test_outputs_are_the_models_for_each_text(checkpoint: Path) -> None:
    model = ScalarHead.load_base(checkpoint, HPARAMS, torch.Generator())
    setting = setting_of(checkpoint)
    torch.nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(0))
    items = setting.encode(FOOD)
    alone = [model(torch.tensor([item]), torch.ones(1, len(item), dtype=torch.int64)).item() for item in items]
    assert len({round(z, 3) for z in alone}) == len(alone)
    assert setting.outputs(model, items).tolist() == pytest.approx(alone, abs=1e-5)
    p = setting.predict(model, items)
    assert p.dtype == np.float64
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-np.array(alone))), atol=1e-5)


@pytest.mark.parametrize("name", ["embedded_folder", "gpt2_folder"])
@pytest.mark.parametrize("micro_batch", [1, 24, 1000])
@torch.no_grad()
def test_zero_shot_is_a_softmax_over_the_answers(request: pytest.FixtureRequest, name: str, micro_batch: int) -> None:
    folder = request.getfixturevalue(name)
    tokenizer = load_tokenizer(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    true, false = (tokenizer.convert_tokens_to_ids(WORDS[key]) for key in ("true", "false"))
    expected = []
    for text in FOOD["text"].to_pylist():
        scores = model(torch.tensor([tokenizer(text)["input_ids"]])).logits[0, -1].double().numpy()
        p = np.exp(scores) / np.exp(scores).sum()
        expected.append(p[true].sum() / (p[true].sum() + p[false].sum()))
    found = setting_of(folder, task={"answers": WORDS}, micro_batch=micro_batch).zero_shot(FOOD)
    assert found.dtype == np.float64
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(found, expected, atol=1e-6)
    swapped = {"answers": {"true": WORDS["false"], "false": WORDS["true"]}}
    opposite = setting_of(folder, task=swapped, micro_batch=micro_batch).zero_shot(FOOD)
    np.testing.assert_allclose(opposite, 1 - found, atol=1e-12)


@torch.no_grad()
def test_zero_shot_of_an_encoder_fills_a_mask_at_the_end(masked_folder: Path) -> None:
    tokenizer = load_tokenizer(masked_folder)
    model = AutoModelForMaskedLM.from_pretrained(masked_folder).eval()
    true, false = tokenizer.convert_tokens_to_ids(["good", "bad"])
    expected = []
    for text in FOOD["text"].to_pylist():
        ids = tokenizer(f"{text} [MASK]")["input_ids"]
        scores = model(torch.tensor([ids])).logits[0, -2].double().softmax(0)  # [SEP] comes after the mask
        expected.append(float(scores[true] / (scores[true] + scores[false])))
    task = {"answers": {"true": ["good"], "false": ["bad"]}}
    found = setting_of(masked_folder, task=task).zero_shot(FOOD)
    assert np.ptp(expected) > 1e-4
    np.testing.assert_allclose(found, expected, atol=1e-6)
    cut = setting_of(masked_folder, task=task, context=12).zero_shot(inputs(" ".join(["poor"] * 50)))
    short = setting_of(masked_folder, task=task).zero_shot(inputs(" ".join(["poor"] * 9)))
    np.testing.assert_allclose(cut, short, atol=1e-6)  # the front goes, the mask stays


def test_a_mask_in_the_text_is_not_the_one_that_is_read(masked_folder: Path) -> None:
    setting = setting_of(masked_folder, task={"answers": {"true": ["good"], "false": ["bad"]}})
    read = setting.zero_shot(inputs("[MASK] the food was", "a [MASK] [MASK]", "[SEP] is it"))
    other = setting.zero_shot(inputs("[UNK] [UNK] the food was", "a [UNK] [UNK] [UNK] [UNK]", "[UNK] [UNK] is it"))
    np.testing.assert_allclose(read, other, atol=1e-6)


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"true": ["good"], "false": ["bad", "good luck"]}, "to the model 'good' and 'good luck' are one answer"),
        ({"true": ["Yes"], "false": ["no"]}, "'Yes' is unknown to the model's tokenizer; choose another word"),
    ],
)
def test_answers_that_the_model_cannot_tell_apart_are_refused(
    answers: dict[str, list[str]], told: str, checkpoint: Path
) -> None:
    with pytest.raises(UserError) as error:
        setting_of(checkpoint, task={"answers": answers}).zero_shot(FOOD)
    assert str(error.value).startswith(f"params.yaml: tasks.mine.answers: {told}")
