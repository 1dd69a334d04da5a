"""What makes no sense is refused by name, before anything is trained."""

from pathlib import Path
from typing import Any

import pytest

from tests.core.test_params import TEXTS, written
from w2s.core.checks import load, read
from w2s.core.errors import UserError
from w2s.core.grid import setting_blocks
from w2s.core.params import Grid
from w2s.core.validation import validate
from w2s.methods import compatibility

NONE: dict[str, list[str]] = {key: [] for key in ("tasks", "weak", "strong", "methods", "ceilings")}
CHESS = {"tasks": ["endgames"], "weak": ["chess-xs"], "strong": ["chess-l"], "methods": ["mine"], "ceilings": ["mine"]}
HUGE = {"family": "hub", "repository": "o/n", "revision": "main", "parameters": 10**13}
SCIQ = {"tasks": ["sciq"], "weak": ["gpt2"], "strong": ["gpt2"], "methods": ["mine"], "ceilings": ["mine"]}


def reviews(**changes: list[str]) -> dict[str, list[str]]:
    return {"tasks": ["reviews"], "weak": ["xs"], "strong": ["l"], "methods": ["mine"], "ceilings": ["mine"]} | changes


def require(file: Path, setting: str, method: dict[str, Any], block: object, **changes: object) -> None:
    """`mine` is the method; other keys with `__` for dots."""
    blocks = {f"grid.{name}": NONE for name in ("classification", "preference", "generation")}
    more = {key.replace("__", "."): value for key, value in changes.items()}
    chess = {"family": "embedded", "corpus": "endgames", "hidden": 64, "layers": 2, "steps": 1, "learning_rate": 0.1}
    chess |= {"architecture": "gpt2", "warmup": 0.3, "seed": 0}
    start = {"models.chess-l": chess, "grid.ladder": ["xs", "s", "m", "chess-xs", "gpt2", "l", "chess-l"]}
    content = start | blocks | {f"grid.{setting}": block, "methods.mine": method}
    compatibility.require(load(written(file, content | more)), setting, "mine")


@pytest.mark.parametrize(
    ("setting", "method", "block", "changes", "told"),
    [
        (
            "classification",
            {"via": ["s", "m"]},
            reviews(),
            {"models__m__hidden": 24},
            "params.yaml: methods.mine.via: the way xs → s → m → l must rise in size, but m is no larger than s",
        ),
        (
            "classification",
            {"via": ["chess-xs"]},
            reviews(),
            {},
            "params.yaml: grid.classification: 'chess-xs' knows the words of corpus 'endgames' only, and task "
            "'reviews' is written in those of 'reviews'",
        ),
        (
            "generation",
            {},
            CHESS | {"weak": ["xs"]},
            {},
            "params.yaml: grid.generation: 'xs' knows the words of corpus 'reviews' only, and task 'endgames' is "
            "written in those of 'endgames'",
        ),
        (
            "classification",
            {},
            reviews(tasks=["sciq"]),
            {},
            "params.yaml: grid.classification: 'xs' knows the words of corpus 'reviews' only, and task 'sciq' is not "
            "written in them; take models of the hub",
        ),
        (
            "generation",
            {"loss": "kl"},
            CHESS,
            {},
            "params.yaml: methods.mine.loss: 'kl' asks how sure a model is of a yes or no, which an answer in words "
            "does not tell; generation takes cross_entropy",
        ),
        (
            "generation",
            {},
            CHESS,
            {"models__chess-xs__finetune": {"tune": "head"}},
            "params.yaml: tune: head has nothing to learn in generation, whose models answer in words",
        ),
        (
            "classification",
            {"stop": "weak", "finetune": {"snapshots": 1}},
            reviews(),
            {},
            "params.yaml: methods.mine.stop: needs finetune.snapshots of 2 or more to choose from (found 1)",
        ),
        (
            "classification",
            {"texts": TEXTS, "finetune": {"tune": "lora"}},
            reviews(),
            {},
            "params.yaml: methods.mine.texts: goes with tune: full, not with lora",
        ),
        (
            "classification",
            {"radius": 0.1},
            reviews(),
            {},
            "params.yaml: methods.mine: radius: unknown name 'radius' (known: none)",
        ),
        (
            "classification",
            {},
            SCIQ,
            {"models__gpt2": HUGE},
            "params.yaml: models.gpt2: too large for this machine: tune: full takes ",
        ),
    ],
)
def test_what_makes_no_sense(
    tmp_path: Path, setting: str, method: dict[str, Any], block: object, changes: dict[str, object], told: str
) -> None:
    with pytest.raises(UserError) as error:
        require(tmp_path / "params.yaml", setting, method, block, **changes)
    assert str(error.value).startswith(told)


@pytest.mark.parametrize(
    ("setting", "method", "block"),
    [
        ("classification", {"via": "between"}, reviews(strong=["m"])),
        ("classification", {"via": ["s", "m"], "rounds": 3}, reviews()),
        ("classification", {"stop": "weak", "finetune": {"snapshots": 2}}, reviews(weak=["l"], strong=["xs"])),
        ("classification", {"shots": 2}, SCIQ),
        ("generation", {"rounds": 2}, CHESS),
    ],
)
def test_what_does(tmp_path: Path, setting: str, method: dict[str, Any], block: object) -> None:
    require(tmp_path / "params.yaml", setting, method, block)


@pytest.mark.parametrize("file", [Path("params.yaml"), *sorted(Path("grids").glob("*.yaml"))], ids=str)
def test_the_grids_that_come_with_the_package(file: Path) -> None:
    params = load().model_copy(update={"grid": validate(Grid, read(file)[1]["grid"], str(file))})
    for setting, block in setting_blocks(params.grid).items():
        for method in block.methods:
            compatibility.require(params, setting, method)
