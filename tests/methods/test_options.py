"""Every fault in a method's parts and their options is reported in one line, and ceilings keep what truth allows."""

from typing import Any

import pytest

from w2s.core.errors import UserError
from w2s.core.params import Method
from w2s.core.registry import names
from w2s.methods import as_ceiling, parts_of
from w2s.methods.loss import Loss

LOSSES = ", ".join(names("w2s.methods.losses"))
PHASE = {"epochs": 1, "learning_rate": 0.1}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"losss": {}}, f": unknown name 'losss' (known: {', '.join(names('w2s.methods'))}); did you mean 'loss'?"),
        ({"generative": {"epochs": 1}}, ".generative: learning_rate is missing"),
        (
            {"probe_first": {"epohs": 1}},
            ".probe_first: epohs: unknown name 'epohs' (known: epochs, learning_rate); did you mean 'epochs'?",
        ),
        ({"rounds": {"count": 1}}, ".rounds: count: must be greater than or equal to 2 (found 1)"),
        (
            {"bootstrap": {"via": "betwixt"}},
            ".bootstrap: via: must be between or a list of models, none of them twice (found 'betwixt')",
        ),
        ({"clean": {"by": "logistic", "share": 0.1}}, ".clean: action is missing"),
        ({"few_shot": {"shots": "4"}}, ".few_shot: shots: must be a whole number (found '4')"),
    ],
)
def test_a_parts_fault_is_reported(parts: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError) as error:
        parts_of(Method(**parts), "params.yaml: methods.mine")
    assert str(error.value) == f"params.yaml: methods.mine{expected}"


def test_filtering_everything_leaves_nothing_to_learn_from() -> None:
    with pytest.raises(UserError, match=r"clean: .*share: must be less than 1 with action: filter"):
        parts_of(Method(clean={"by": "logistic", "action": "filter", "share": 1.0}))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {"function": "confidance"},
            f".function: unknown name 'confidance' (known: {LOSSES}); did you mean 'confidence'?",
        ),
        ({"function": "kl", "alpha_max": 0.5}, ": alpha_max: unknown name 'alpha_max' (known: none)"),
        ({"function": "confidence", "warmup": 0.2}, ": alpha_max is missing"),
        (
            {"function": "confidence", "alpha_mx": 0.5, "warmup": 0.2},
            ": alpha_mx: unknown name 'alpha_mx' (known: alpha_max, warmup); did you mean 'alpha_max'?",
        ),
        (
            {"function": "confidence", "alpha_max": 2.0, "warmup": 0.2},
            ": alpha_max: must be less than or equal to 1 (found 2.0)",
        ),
        (
            {"function": "confidence", "alpha_max": float("nan"), "warmup": 0.2},
            ": alpha_max: must be a finite number (found nan)",
        ),
        ({"function": "confidence", "alpha_max": "a", "warmup": 0.2}, ": alpha_max: must be a number (found 'a')"),
    ],
)
def test_a_losss_fault_is_reported(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError) as error:
        Loss(**options).bound("params.yaml: methods.mine.loss")
    assert str(error.value) == f"params.yaml: methods.mine.loss{expected}"


def test_a_ceiling_has_those_parts_of_a_method_that_truth_leaves_a_meaning() -> None:
    kept = {"finetune": {"clip": 2.0}, "probe_first": PHASE}
    clean = {"by": "logistic", "action": "relabel", "share": 0.1}
    dropped = {
        "loss": {"function": "kl"},
        "harden": {},
        "bootstrap": {"via": "between"},
        "rounds": {"count": 2},
        "early_stopping": {},
        "clean": clean,
    }
    assert as_ceiling(Method(**kept, **dropped)) == Method(**kept)
    for alone in (Method(generative=PHASE), Method(few_shot={"shots": 3})):
        assert as_ceiling(alone) == alone
