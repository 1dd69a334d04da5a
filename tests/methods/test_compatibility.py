"""What makes no sense is refused by name, before anything is trained."""

from pathlib import Path
from typing import Any

import pytest

from tests.core.test_params import written
from w2s.core.checks import load, read
from w2s.core.errors import UserError
from w2s.core.grid import setting_blocks
from w2s.core.params import Grid, Method
from w2s.core.validation import validate
from w2s.methods import compatibility, parts_of

PHASE = {"epochs": 1, "learning_rate": 0.1}
NONE: dict[str, Any] = {key: [] for key in ("tasks", "weak", "strong", "methods", "ceilings")}
NONE |= {"simulated": {"of": [], "weak": [], "methods": []}}
CHESS = NONE | {"tasks": ["endgames"], "weak": ["chess-xs"], "strong": ["chess-l"]}
CHESS |= {"methods": ["mine"], "ceilings": ["mine"]}
HUGE = {"family": "hub", "repository": "o/n", "revision": "main", "parameters": 10**13}
SMALL = HUGE | {"parameters": 1}
SCIQ = NONE | {"tasks": ["sciq"], "weak": ["gpt2"], "strong": ["gpt2"], "methods": ["mine"], "ceilings": ["mine"]}
SIMULATED = {"of": ["xs"], "weak": ["random-errors"], "methods": ["mine"]}


def reviews(**changes: Any) -> dict[str, Any]:
    block = {"tasks": ["reviews"], "weak": ["xs"], "strong": ["l"], "methods": ["mine"], "ceilings": ["mine"]}
    return NONE | block | changes


def require(file: Path, setting: str, method: dict[str, Any], block: object, **changes: object) -> None:
    """`mine` is the method; other keys with `__` for dots."""
    blocks = {f"grid.{name}": NONE for name in ("classification", "preference", "generation")}
    more = {key.replace("__", "."): value for key, value in changes.items()}
    chess = {
        "family": "embedded",
        "corpus": "endgames",
        "architecture": "gpt2",
        "hidden": 64,
        "layers": 2,
        "steps": 1,
        "learning_rate": 0.1,
        "warmup": 0.3,
    }
    start = {"models.chess-l": chess, "grid.ladder": ["xs", "s", "m", "chess-xs", "gpt2", "l", "chess-l"]}
    content = start | blocks | {f"grid.{setting}": block, "methods.mine": method}
    compatibility.require(load(written(file, content | more)), setting, "mine")


@pytest.mark.parametrize(
    ("setting", "method", "block", "changes", "expected"),
    [
        (
            "classification",
            {"bootstrap": {"via": ["s", "m"]}},
            reviews(),
            {"models__m__hidden": 12},
            "bootstrap: the path xs → s → m → l must rise in size, but m is no larger than s",
        ),
        (
            "classification",
            {"bootstrap": {"via": "between"}},
            reviews(simulated=SIMULATED),
            {"grid__ladder": ["xs", "s", "m", "l"]},
            "bootstrap: starts from a supervisor of the ladder, which 'random-errors' is not",
        ),
        (
            "generation",
            {"loss": {"function": "kl"}},
            CHESS,
            {},
            "loss: 'kl' asks how sure a model is of a yes or no, which an answer in words does not tell; generation "
            "has cross-entropy alone",
        ),
        ("generation", {"harden": {}}, CHESS, {}, "harden: not in generation: answers in words are hard labels"),
        (
            "generation",
            {"clean": {"by": "logistic", "action": "relabel", "share": 0.1}},
            CHESS,
            {},
            "clean: not in generation: probes need one yes or no, not answers in words",
        ),
        (
            "generation",
            {"probe_first": PHASE},
            CHESS,
            {},
            "probe_first: not in generation: models that answer in words have no new head to train first",
        ),
        (
            "classification",
            {"early_stopping": {}, "finetune": {"snapshots": 1}},
            reviews(),
            {},
            "early_stopping: needs finetune.snapshots of 2 or more to choose from (found 1)",
        ),
        *(
            (
                setting,
                {"generative": PHASE, "finetune": {"tune": "lora"}},
                block,
                {},
                "generative: goes with tune: full, not with lora",
            )
            for setting, block in {"classification": reviews(), "generation": CHESS}.items()
        ),
        (
            "classification",
            {"probe_first": PHASE, "finetune": {"tune": "head"}},
            reviews(),
            {},
            "probe_first: goes with tune: full, not with head",
        ),
        (
            "classification",
            {"generative": PHASE},
            reviews(methods=["mine", "naive"], ceilings=["naive"]),
            {},
            "generative: its ceiling must learn the texts, too",
        ),
        *(
            (
                "classification",
                {"generative": PHASE, **part},
                reviews(),
                {},
                f"generative: does not go with {name}; make them two methods",
            )
            for name, part in {
                "bootstrap": {"bootstrap": {"via": ["s", "m"]}},
                "rounds": {"rounds": {"count": 2}},
            }.items()
        ),
        *(
            (
                "classification",
                {"few_shot": {"shots": 4}, **part},
                reviews(),
                {},
                f"few_shot: few-shot prompting trains nothing; it does not go with {name}",
            )
            for name, part in {
                "early_stopping": {"early_stopping": {}},
                "rounds": {"rounds": {"count": 2}},
                "loss": {"loss": {"function": "kl"}},
                "harden": {"harden": {}},
                "finetune": {"finetune": {"tune": "lora"}},
            }.items()
        ),
        (
            "classification",
            {"loss": {"function": "kl", "alpha_max": 0.5}},
            reviews(),
            {},
            "loss: alpha_max: unknown name 'alpha_max' (known: none)",
        ),
    ],
)
def test_parts_without_a_meaning(
    tmp_path: Path, setting: str, method: dict[str, Any], block: object, changes: dict[str, object], expected: str
) -> None:
    with pytest.raises(UserError) as error:
        require(tmp_path / "params.yaml", setting, method, block, **changes)
    assert str(error.value).startswith(f"params.yaml: methods.mine.{expected}")


@pytest.mark.parametrize(
    ("setting", "method", "block", "changes", "expected"),
    [
        (
            "classification",
            {"bootstrap": {"via": ["chess-xs"]}},
            reviews(),
            {},
            "grid.classification: 'chess-xs' knows the words of corpus 'endgames' only, and task 'reviews' is written "
            "in those of 'reviews'",
        ),
        (
            "generation",
            {},
            CHESS | {"weak": ["xs"]},
            {},
            "grid.generation: 'xs' knows the words of corpus 'reviews' only, and task 'endgames' is written in those "
            "of 'endgames'",
        ),
        (
            "classification",
            {},
            reviews(tasks=["sciq"]),
            {},
            "grid.classification: 'xs' knows the words of corpus 'reviews' only, and task 'sciq' is not written in "
            "them; take models of the hub",
        ),
        (
            "generation",
            {},
            CHESS,
            {"tasks__endgames__finetune": {"tune": "head"}},
            "tune: head has nothing to learn in generation, whose models answer in words",
        ),
        (
            "classification",
            {"radius": 0.1},
            reviews(),
            {},
            "methods.mine: unknown name 'radius' (known: answer_head, bootstrap, clean, ",
        ),
        (
            "classification",
            {},
            SCIQ,
            {"models__gpt2": HUGE},
            "models.gpt2: too large for this machine: tune: full takes ",
        ),
    ],
)
def test_models_and_names_that_do_not_fit(
    tmp_path: Path, setting: str, method: dict[str, Any], block: object, changes: dict[str, object], expected: str
) -> None:
    with pytest.raises(UserError) as error:
        require(tmp_path / "params.yaml", setting, method, block, **changes)
    assert str(error.value).startswith(f"params.yaml: {expected}")


@pytest.mark.parametrize(
    ("setting", "method", "block"),
    [
        ("classification", {"bootstrap": {"via": "between"}}, reviews(strong=["m"])),
        ("classification", {"bootstrap": {"via": ["s", "m"]}, "rounds": {"count": 3}}, reviews()),
        ("classification", {"early_stopping": {}, "finetune": {"snapshots": 2}}, reviews(weak=["l"], strong=["xs"])),
        ("classification", {"few_shot": {"shots": 2}}, SCIQ),
        ("classification", {"generative": PHASE}, reviews()),
        ("generation", {"rounds": {"count": 2}}, CHESS),
        ("generation", {"finetune": {"tune": "lora"}}, CHESS),
    ],
)
def test_what_does(tmp_path: Path, setting: str, method: dict[str, Any], block: object) -> None:
    require(tmp_path / "params.yaml", setting, method, block)


@pytest.mark.parametrize(
    ("via", "ladder", "weak", "strong", "path"),
    [
        ("between", ["xs", "s", "m", "l"], ["xs"], "l", None),
        ("between", ["xs", "l", "s", "m"], ["xs", "s"], "l", "s → l"),
        ("between", ["m", "s", "xs", "l"], ["s"], "m", "s → m"),
        (["s", "m"], ["xs", "s", "m", "l"], ["xs"], "l", None),
        (["m", "s"], ["xs", "s", "m", "l"], ["xs"], "l", "xs → m → s → l"),
        (["s"], ["xs", "s", "m", "l"], ["s"], "l", "s → s → l"),
        (["gpt2"], ["xs", "s", "m", "l"], ["xs"], "l", "xs → gpt2 → l"),
    ],
)
def test_a_path_must_rise(
    tmp_path: Path, via: object, ladder: list[str], weak: list[str], strong: str, path: str | None
) -> None:
    arguments = (tmp_path / "params.yaml", "classification", {"bootstrap": {"via": via}})
    block = reviews(weak=weak, strong=[strong])
    if path is None:
        require(*arguments, block, grid__ladder=ladder)
        return
    with pytest.raises(UserError) as error:
        require(*arguments, block, grid__ladder=ladder, models__gpt2=SMALL)
    assert str(error.value) == (
        f"params.yaml: methods.mine.bootstrap: the path {path} must rise in grid.ladder, which is {', '.join(ladder)}"
    )


@pytest.mark.parametrize(("via", "models"), [("between", ["s", "m"]), (["m"], ["m"])])
def test_labels_pass_through_the_models_between_or_those_named(tmp_path: Path, via: object, models: list[str]) -> None:
    (part,) = parts_of(Method(bootstrap={"via": via}))
    assert part.base_models(load(written(tmp_path / "params.yaml", {})), "xs", "l") == models


def require_two_ceilings(file: Path, method: dict[str, Any]) -> None:
    block = reviews(methods=["naive", "mine"], ceilings=["naive", "mine"])
    compatibility.require_all(load(written(file, {"grid.classification": block, "methods.mine": method})))


@pytest.mark.parametrize("method", [{}, {"loss": {"function": "kl"}}, {"harden": {}}, {"early_stopping": {}}])
def test_a_ceiling_that_would_be_trained_as_the_first_is_refused(tmp_path: Path, method: dict[str, Any]) -> None:
    with pytest.raises(UserError) as error:
        require_two_ceilings(tmp_path / "params.yaml", method)
    assert str(error.value) == "params.yaml: grid.classification.ceilings: 'mine' is the same as 'naive'"


@pytest.mark.parametrize("method", [{"generative": PHASE}, {"finetune": {"clip": 2.0}}])
def test_ceilings_that_learn_otherwise_are_not_the_same(tmp_path: Path, method: dict[str, Any]) -> None:
    require_two_ceilings(tmp_path / "params.yaml", method)


@pytest.mark.parametrize("part", ["tasks.reviews", "corpora.reviews"])
def test_an_option_that_a_family_does_not_know_is_refused(tmp_path: Path, part: str) -> None:
    file = written(tmp_path / "params.yaml", {f"{part}.colour": "red"})
    with pytest.raises(UserError, match=f"^params.yaml: {part}: colour: unknown name 'colour'"):
        compatibility.require_all(load(file))


@pytest.mark.parametrize("file", [Path("params.yaml"), *sorted(Path("grids").glob("*.yaml"))], ids=str)
def test_the_grids_that_come_with_the_package(file: Path) -> None:
    params = load().model_copy(update={"grid": validate(Grid, read(file)[1]["grid"], str(file))})
    for setting, block in setting_blocks(params.grid).items():
        for method in block.methods:
            compatibility.require(params, setting, method)


@pytest.mark.parametrize(
    ("weak", "expected"),
    [
        (
            "hard-errors",
            "weak: 'hard-errors' is not in generation: answers in words do not tell how sure a supervisor is",
        ),
        ("ensemble", "of: 'ensemble' needs 3 or more (found chess-xs)"),
    ],
)
def test_a_simulated_supervisor_without_a_meaning_is_refused(tmp_path: Path, weak: str, expected: str) -> None:
    simulated = {"of": ["chess-xs"], "weak": [weak], "methods": ["mine"]}
    block = CHESS | {"strong": ["chess-xs"], "simulated": simulated}
    changes = {"grid.ladder": ["xs", "l", "chess-xs"], "grid.generation": block, "methods.mine": {}}
    with pytest.raises(UserError) as error:
        compatibility.require_all(load(written(tmp_path / "params.yaml", changes)))
    assert str(error.value) == f"params.yaml: grid.generation.simulated.{expected}"
