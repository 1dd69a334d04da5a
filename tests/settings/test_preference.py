"""Two texts in, P(the first is better) out."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModel, AutoModelForCausalLM

from tests.conftest import HPARAMS, WORDS, setting_of
from w2s.core.files import PAIRS
from w2s.models.checkpoints import load_tokenizer
from w2s.models.heads import ScalarHead
from w2s.settings import setting_class
from w2s.settings.base import Setting
from w2s.settings.preference import Preference

texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join)
pairs = st.lists(st.tuples(texts, texts, st.booleans()), min_size=1, max_size=8)


def inputs(first: list[str], second: list[str]) -> pa.Table:
    ids = [str(index) for index in range(len(first))]
    return pa.table({"id": ids, "first": first, "second": second, "group": ids}, schema=PAIRS)


def model_of(folder: Path) -> ScalarHead:
    """A reward model that says something."""
    model = ScalarHead.load_base(folder, HPARAMS, torch.Generator()).eval()
    torch.nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(0))
    torch.nn.init.ones_(model.head.bias)
    return model


def test_it_is_found_by_name() -> None:
    assert setting_class("preference", "here") is Preference


Judge = tuple[Setting, ScalarHead, Callable[[str], float]]


@pytest.fixture(scope="module", params=["embedded", "gpt2", "bert"])
def judge(request: pytest.FixtureRequest) -> Judge:
    """A setting, its model, and that model's reward of one text alone: no padding, no mask, nothing shared."""
    folder = request.getfixturevalue(f"{request.param}_folder")
    model = model_of(folder)
    tokenizer = load_tokenizer(folder)
    body = AutoModel.from_pretrained(folder).eval()
    place = 0 if request.param == "bert" else -1

    @torch.no_grad()
    def reward(text: str) -> float:
        hidden = body(input_ids=torch.tensor([tokenizer(text)["input_ids"]])).last_hidden_state[0, place]
        return float(hidden.double() @ model.head.weight[0].double()) + 1

    return setting_of(folder, "preference"), model, reward


@pytest.mark.slow
@given(pairs)
def test_p_is_the_logistic_of_the_difference_of_rewards(judge: Judge, pairs: list[tuple[str, str, bool]]) -> None:
    setting, model, reward = judge
    first, second, _ = map(list, zip(*pairs, strict=True))
    expected = [1 / (1 + np.exp(reward(two) - reward(one))) for one, two in zip(first, second, strict=True)]
    found = setting.predict(model, setting.encode(inputs(first, second)))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_rewards_differ(judge: Judge) -> None:
    """What stands above proves nothing of a model that likes all texts as well."""
    rewards = [judge[2](text) for text in ("good", "the food was bad", "room")]
    assert min(abs(one - other) for one, other in itertools.combinations(rewards, 2)) > 0.001


@pytest.mark.slow
@given(pairs)
def test_swapping_any_pairs_flips_their_signs_and_no_other_bit(
    judge: Judge, pairs: list[tuple[str, str, bool]]
) -> None:
    setting, model, _ = judge
    swapped = [(two, one) if swap else (one, two) for one, two, swap in pairs]
    items, others = (
        setting.encode(inputs(*map(list, zip(*some, strict=True))))
        for some in ([(one, two) for one, two, _ in pairs], swapped)
    )
    signs = torch.tensor([-1.0 if swap else 1.0 for *_, swap in pairs])
    with torch.no_grad():
        z = setting.outputs(model, items)
        assert torch.equal(setting.outputs(model, others), z * signs)
    p = setting.predict(model, items)
    q = setting.predict(model, others)
    flipped = np.array([swap for *_, swap in pairs])
    np.testing.assert_allclose(q, np.where(flipped, 1 - p, p), atol=1e-15)
    decided = p != 0.5
    assert np.array_equal((q > 0.5)[decided], ((p > 0.5) ^ flipped)[decided])
    for (one, two, _), value in zip(pairs, z.tolist(), strict=True):
        assert one != two or value == 0


def test_a_batch_may_be_cut_anywhere(embedded_folder: Path) -> None:
    rng = np.random.default_rng(0)
    sides = [[" ".join(rng.choice(WORDS, rng.integers(1, 12))) for _ in range(30)] for _ in range(2)]
    model = model_of(embedded_folder)
    found = []
    for tokens in (1, 40, 10_000):
        setting = setting_of(embedded_folder, "preference")
        model.budget.tokens = tokens
        found.append(setting.predict(model, setting.encode(inputs(*sides))))
    assert np.ptp(found[0]) > 0.1
    np.testing.assert_allclose(found[0], found[2], atol=1e-6)
    np.testing.assert_allclose(found[1], found[2], atol=1e-6)


def test_texts_too_long_lose_their_fronts(checkpoint: Path) -> None:
    setting = setting_of(checkpoint, "preference", context=12)
    tokenizer = load_tokenizer(checkpoint)
    long = " ".join(["good"] * 30 + ["poor", "fine"])
    ((cut, short), (other, _)) = setting.encode(inputs([long, "yes"], ["good food", long]))
    assert len(cut) == 12
    assert tokenizer.decode(cut, skip_special_tokens=True).endswith("good poor fine")
    assert short == tokenizer("good food")["input_ids"]
    # Both are read at the width of the longer.
    assert setting.length((cut, short)) == 24
    assert other == tokenizer("yes")["input_ids"]


@pytest.mark.parametrize("name", ["embedded_folder", "gpt2_folder"])
@torch.no_grad()
def test_zero_shot_compares_how_likely_the_answers_follow_each_text(request: pytest.FixtureRequest, name: str) -> None:
    folder = request.getfixturevalue(name)
    tokenizer = load_tokenizer(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    words = {"true": ["good", "fine"], "false": ["bad"]}
    true, false = (tokenizer.convert_tokens_to_ids(words[key]) for key in ("true", "false"))

    def odds(text: str) -> float:
        p = model(torch.tensor([tokenizer(text)["input_ids"]])).logits[0, -1].double().softmax(0)
        return float(p[true].sum() / p[false].sum())

    sides = ["the food was", "room", "yes and no"], ["not", "a poor room is bad and", "the food"]
    expected = [odds(one) / (odds(one) + odds(two)) for one, two in zip(*sides, strict=True)]
    found = setting_of(folder, "preference", {"answers": words}).zero_shot(inputs(*sides))
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(found, expected, atol=1e-6)
