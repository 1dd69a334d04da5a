"""Methods in words, as the report tells them."""

from pathlib import Path

import pytest

from w2s.core.checks import load
from w2s.core.params import Method
from w2s.report.recipes import LOSSES, told

ROOT = Path(__file__).parents[2]


def test_every_committed_method_is_told_apart() -> None:
    methods = load(ROOT / "params.yaml").methods
    assert len({told(method) for method in methods.values()}) == len(methods)


def test_every_loss_has_words() -> None:
    files = {file.stem for file in (ROOT / "w2s/methods/losses").glob("*.py")} - {"__init__"}
    assert {*LOSSES} == files - {"cross_entropy"}


@pytest.mark.parametrize(
    ("recipe", "says"),
    [
        ({}, "finetunes the strong model on the weak labels as they are (paper, section 4.2)."),
        ({"finetune": {"epochs": 3}}, "as they are (paper, section 4.2); with epochs 3."),
        ({"finetune": {"tune": "lora"}}, "trains low-rank adapters and the head alone."),
        ({"loss": "mine"}, "minimises the loss mine."),
        ({"via": ["s", "m"]}, "through s, m, each learning"),
        (
            {"labels": "hard", "clean": {"by": "neighbours", "action": "filter", "share": 0.1}, "stop": "weak"},
            "leaves out up to 10% of the weak labels, those most contradicted by a vote of the nearest neighbours "
            "among its own base features; rounds the weak labels; stays with",
        ),
    ],
)
def test_parts_are_told_in_the_order_in_which_they_happen(recipe: dict[str, object], says: str) -> None:
    assert says in told(Method.model_validate(recipe))
