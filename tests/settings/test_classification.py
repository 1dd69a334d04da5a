"""One text in, P(true) out."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from transformers import AutoModelForCausalLM

from w2s.models.heads import load_base, load_tokenizer
from w2s.params import Answers
from w2s.records import TEXTS
from w2s.settings import setting
from w2s.settings.classification import encode, logits, zero_shot


def inputs(*texts: str) -> pa.Table:
    ids = [str(index) for index in range(len(texts))]
    return pa.table({"id": ids, "text": texts, "group": ids}, schema=TEXTS)


FOOD = inputs("the food was", "was a room not", "yes", "the room is not bad and the food is poor", "no")


def test_it_is_found_by_name() -> None:
    assert setting("classification", "here").encode is encode


@pytest.mark.parametrize(("name", "context"), [("embedded_folder", 64), ("bert_folder", 32), ("gpt2_folder", 32)])
def test_a_text_too_long_loses_its_front(request: pytest.FixtureRequest, name: str, context: int) -> None:
    tokenizer = load_tokenizer(request.getfixturevalue(name))
    text = " ".join(["good"] * 40 + ["poor"] * 30 + ["fine"])
    whole, (cut, short) = tokenizer(text)["input_ids"], encode(tokenizer, inputs(text, "good food"))
    assert len(whole) > context == len(cut)
    assert tokenizer.decode(cut, skip_special_tokens=True).endswith("poor fine")
    specials = set(tokenizer.all_special_ids)
    assert [token in specials for token in (cut[0], cut[-1])] == [token in specials for token in (whole[0], whole[-1])]
    assert short == tokenizer("good food")["input_ids"]


def test_logits_are_the_models_for_each_text(checkpoint: Path) -> None:
    model, items = load_base(checkpoint).eval(), encode(load_tokenizer(checkpoint), FOOD)
    torch.nn.init.ones_(model.head.weight)
    alone = [logits(model, [item], 0).item() for item in items]
    assert logits(model, items, 3).tolist() == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("name", ["embedded_folder", "gpt2_folder"])
@pytest.mark.parametrize("micro_batch", [1, 3, 100])
@torch.no_grad()
def test_zero_shot_is_a_softmax_over_the_answers(request: pytest.FixtureRequest, name: str, micro_batch: int) -> None:
    folder = request.getfixturevalue(name)
    tokenizer, model = load_tokenizer(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
    words = {"true": ["good", "fine"], "false": ["bad", "poor", "no"]}
    true, false = (tokenizer.convert_tokens_to_ids(words[key]) for key in ("true", "false"))
    expected = []
    for text in FOOD["text"].to_pylist():
        scores = model(torch.tensor([tokenizer(text)["input_ids"]])).logits[0, -1].double().numpy()
        p = np.exp(scores) / np.exp(scores).sum()
        expected.append(p[true].sum() / (p[true].sum() + p[false].sum()))
    found = zero_shot(folder, FOOD, Answers(**words), micro_batch)
    assert found.dtype == np.float64
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(found, expected, atol=1e-6)
    opposite = zero_shot(folder, FOOD, Answers(true=words["false"], false=words["true"]), micro_batch)
    np.testing.assert_allclose(opposite, 1 - found, atol=1e-12)
