"""The cost command: its counts are those of the stages, and its table can be read."""

import itertools
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from socket import create_server
from threading import Thread
from typing import Any

import pytest

from tests.pipeline.conftest import Workspace, checkout
from w2s import methods
from w2s.core.checks import load
from w2s.core.params import Method
from w2s.models import heads
from w2s.pipeline.cost.measures import FinetuningSpeed, Machine, Measures, PretrainingSpeed, TextSpeed
from w2s.pipeline.cost.plan import Status
from w2s.pipeline.cost.survey import Step, sizes, survey
from w2s.pipeline.cost.table import duration, si, table
from w2s.pipeline.cost.work import Cost, cost, stage_passes
from w2s.settings.base import Setting
from w2s.settings.classification import Classification
from w2s.settings.preference import Preference
from w2s.training import finetune, texts

# Each of these runs for seconds.
pytestmark = pytest.mark.slow

KEPT = Status.KEPT
RUN = Status.RUN
ORDER = [
    *("code", "check", "prepare", "base", "method", "supervise", "label", "gather", "simulate", "ceiling", "control"),
    *("student", "evaluate", "plot"),
]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A checkout with a micro grid of which nothing has run."""
    return checkout(tmp_path_factory.mktemp("fresh"))


# Counting


SPEED = FinetuningSpeed(
    parameters=1000,
    start=1.0,
    encode=0.001,
    update=0.1,
    predict=0.01,
    tokens=10.0,
    flops=6,
    memory=1e6,
    notes=[],
)
MEASURES = Measures(
    machine=Machine(light=1.0, heavy=5.0, memory=500e6),
    evaluate={"classification": 0.5, "preference": 0.4, "generation": 0.1},
    prepare={"reviews": 2.0},
    pretrain={
        "m": PretrainingSpeed(parameters=1000, start=1.0, document=0.001, update=0.1, tokens=320.0, memory=1000.0),
    },
    finetune=defaultdict(lambda: SPEED),
    texts=defaultdict(lambda: TextSpeed(start=2.0, update=0.3, tokens=320.0)),
)
PARTS = {"supervisor": 96, "student": 96, "validation": 32, "test": 128, "texts": 192}
SIZES = {"reviews": PARTS, "preferences": PARTS, "endgames": PARTS}


@pytest.mark.parametrize(
    ("kind", "item", "expected"),
    [
        ("prepare", {"task": "reviews"}, Cost(seconds=1 + 2)),
        # 60 updates of 320 tokens, from 2000 documents
        (
            "base",
            {"model": "m"},
            Cost(5 + 1 + 2 + 6, tokens=60 * 320, flops=6 * 1000 * 60 * 320, memory=500e6 + 2000 * 1000),
        ),
        ("code", {}, Cost(seconds=1)),
        ("method", {"setting": "generation", "method": "bootstrap"}, Cost(5, memory=500e6)),
        # 2 epochs of 96 texts in updates of 32; 128 test texts at 2 snapshots; 10 tokens a text
        (
            "supervise",
            {"task": "reviews", "weak": "xs", "seed": "0"},
            Cost(
                seconds=5 + 1 + 0.001 * (96 + 128) + 0.1 * 6 + 0.01 * 256,
                tokens=1920,
                flops=1000 * 10 * (6 * 192 + 2 * 256),
                memory=501e6,
            ),
        ),
        # 96 + 32 + 128 texts read once
        (
            "label",
            {"task": "reviews", "weak": "xs", "seed": "0"},
            Cost(5 + 1 + 0.001 * 256 + 0.01 * 256, tokens=0, flops=1000 * 10 * 2 * 256, memory=501e6),
        ),
        ("gather", {"task": "reviews", "of": "xs", "seed": "0"}, Cost(1)),
        ("simulate", {"task": "reviews", "weak": "random-errors", "seed": "0"}, Cost(1)),
        # as the supervisor, and 32 validation texts at each snapshot
        (
            "student",
            {"task": "reviews", "weak": "xs", "strong": "m", "method": "naive", "seed": "0"},
            Cost(
                seconds=5 + 1 + 0.001 * (96 + 160) + 0.1 * 6 + 0.01 * 320,
                tokens=1920,
                flops=1000 * 10 * (6 * 192 + 2 * 320),
                memory=501e6,
            ),
        ),
        # an epoch of 192 texts comes first: 6 updates of 320 tokens
        (
            "ceiling",
            {"task": "preferences", "strong": "m", "method": "generative", "seed": "0"},
            Cost(
                seconds=5 + 2 + 0.3 * 6 + 1 + 0.001 * (96 + 128) + 0.1 * 6 + 0.01 * 256,
                tokens=6 * 320 + 1920,
                flops=1000 * (6 * (6 * 320 + 1920) + 2 * 2560),
                memory=501e6,
            ),
        ),
        # a student of chess-s first, which labels 96 + 32 texts anew, then one of chess-m
        (
            "student",
            {"task": "endgames", "weak": "chess-xs", "strong": "chess-m", "method": "bootstrap", "seed": "0"},
            Cost(
                seconds=5 + 2 * (1 + 0.001 * (96 + 160) + 0.1 * 6 + 0.01 * 320) + (0.001 + 0.01) * 128,
                tokens=2 * 1920,
                flops=1000 * 10 * (6 * 2 * 192 + 2 * (2 * 320 + 128)),
                memory=501e6,
            ),
        ),
        # zero-shot on 128 and features, then two trainings with one snapshot: the supervisor's truth, and from scratch
        (
            "control",
            {"task": "reviews", "strong": "m"},
            Cost(
                seconds=5 + 4 + 0.001 * (96 + 128 + 96 + 128 + 128) + 0.1 * 12 + 0.01 * 3 * 128,
                tokens=2 * 1920,
                flops=1000 * 10 * (6 * 2 * 192 + 2 * 3 * 128),
                memory=501e6,
            ),
        ),
        # of reviews: a supervisor, 4 of m without supervisor, 2 students, one simulated supervisor and its student;
        # of preferences and of endgames one student, and nothing simulated
        ("evaluate", {}, Cost(seconds=1 + 9 * 0.5 + 6 * 0.4 + 6 * 0.1)),
    ],
)
def test_a_stage_costs_what_it_computes(fresh: Workspace, kind: str, item: dict[str, str], expected: Cost) -> None:
    params = load(fresh.path / "params.yaml")
    found = cost(kind, item, params, SIZES, MEASURES)
    for name in ("seconds", "tokens", "flops", "memory"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name)), name


def test_a_control_of_a_frozen_body_is_not_trained_from_scratch(fresh: Workspace) -> None:
    params = load(fresh.path / "params.yaml")
    lora = params.model_copy(update={"finetune": params.finetune.model_copy(update={"tune": "lora"})})
    found = cost("control", {"task": "reviews", "strong": "m"}, lora, SIZES, MEASURES)
    assert found.tokens == 1920  # the supervisor's truth
    assert found.flops == 1000 * 10 * (6 * 192 + 2 * 2 * 128)  # zero-shot reads the test texts too


def test_what_is_learnt_and_read_is_what_stages_learn_and_read(
    fresh: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every kind of stage and every part of a method, run and counted where training and prediction pass by."""
    path = tmp_path / "repo"
    shutil.copytree(fresh.path, path)
    names = [
        "naive",
        "linear",
        "probe-first",
        "relabel-logistic",
        "stop",
        "rounds",
        "few-shot",
        "confident",
        "answer-head",
    ]
    Workspace(path).set("grid.classification.methods", names)
    Workspace(path).set("grid.classification.ceilings", ["naive", "probe-first"])
    monkeypatch.chdir(path)
    counted: Counter[str] = Counter()

    def learning(made: Callable[..., Iterator[list[int]]], prefix: str) -> Callable[..., Iterator[list[int]]]:
        def epochs(lengths: list[int], *more: Any) -> Iterator[list[int]]:
            for batch in made(lengths, *more):
                counted.update({f"{prefix}updates": 1, f"{prefix}learned": len(batch)})
                yield batch

        return epochs

    def reading(of: Any, name: str, count: Callable[..., int]) -> None:
        act = getattr(of, name)

        def counting(self: Any, *given: Any) -> Any:
            counted["read"] += count(self, *given)
            return act(self, *given)

        monkeypatch.setattr(of, name, counting)

    monkeypatch.setattr(finetune, "epochs", learning(finetune.epochs, ""))
    monkeypatch.setattr(texts, "epochs", learning(texts.epochs, "texts "))
    monkeypatch.setattr(Setting, "write_features", lambda *_: None)
    reading(Setting, "predict", lambda _, model, items: len(items) if model.tune != "head" or not model.head else 0)
    # Where the head alone learns.
    reading(heads, "text_state", lambda body, ids, *_: len(ids) * (not any(w.requires_grad for w in body.parameters())))
    for kind in (Classification, Preference):
        reading(kind, "zero_shot", lambda _, inputs, lead="": len(inputs) * (1 + lead.count("\n\n")))

    params = load()
    steps, _ = survey(params)
    # Any order in which stages can run.
    for step in sorted(steps, key=lambda step: ORDER.index(step.kind)):
        counted.clear()
        values = [int(value) if axis == "seed" else value for axis, value in step.item.items()]
        import_module(f"stages.{step.kind}").main(*values)
        passed = list(stage_passes(step.kind, step.item, params, sizes(params, running=[])))
        expected = {
            "learned": sum(one.learned for one in passed),
            "updates": sum(one.updates for one in passed),
            "texts updates": sum(one.text_updates for one in passed),
            "read": sum(one.read for one in passed),
        }
        if step.kind != "base":
            assert {name: counted[name] for name in expected} == expected, step


def test_a_measure_serves_every_method_that_goes_at_the_same_speed(fresh: Workspace) -> None:
    params = load(fresh.path / "params.yaml")
    speeds = {}
    for method in ("naive", "confidence", "stop", "rounds", "few-shot", "linear", "probe-first"):
        item = {"task": "reviews", "weak": "xs", "strong": "m", "method": method}
        speeds[method] = {(one.model, one.speed_hparams) for one in stage_passes("student", item, params, SIZES)}
    assert speeds["confidence"] == speeds["stop"] == speeds["rounds"] == speeds["few-shot"] == speeds["naive"]
    assert speeds["linear"] != speeds["naive"]
    assert speeds["probe-first"] == speeds["linear"] | speeds["naive"]


TWICE = """
from w2s.methods.part import Part, Phase


class Twice(Part):
    phase = Phase.CHAIN
    on_truth = False

    def passes(self, plan, train):
        yield from train(plan)
        yield from train(plan)
"""


def test_a_new_part_is_counted_from_its_own_file(
    fresh: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "twice.py").write_text(TWICE)
    monkeypatch.setattr(methods, "__path__", [*methods.__path__, str(tmp_path)])
    params = load(fresh.path / "params.yaml")
    params.methods["twice"] = Method(twice={})
    costs = {}
    for method in ("naive", "twice"):
        item = {"task": "reviews", "weak": "xs", "strong": "m", "method": method, "seed": "0"}
        costs[method] = cost("student", item, params, SIZES, MEASURES)
    assert costs["twice"].tokens == 2 * costs["naive"].tokens
    assert costs["twice"].flops == 2 * costs["naive"].flops


@contextmanager
def counting_hub() -> Iterator[tuple[str, list[object]]]:
    """An address at which a hub would be asked, and who asked."""
    callers: list[object] = []
    with create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    connection, caller = server.accept()
                except OSError:
                    return
                callers.append(caller)
                connection.close()

        Thread(target=answer, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", callers


def test_models_and_data_of_the_hub_are_estimated_without_asking_it(
    fresh: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "repo"
    shutil.copytree(fresh.path, path)
    workspace = Workspace(path)
    not_simulated: dict[str, list[str]] = {"of": [], "weak": [], "methods": []}
    empty = {"tasks": [], "weak": [], "strong": [], "methods": [], "ceilings": [], "simulated": not_simulated}
    block = {"tasks": ["reviews", "sciq"], "weak": ["xs"], "strong": ["gpt2"], "methods": ["naive", "generative"]}
    workspace.set("grid.classification", empty | block | {"ceilings": ["naive", "generative"]})
    workspace.set("grid.preference", empty)
    workspace.set("grid.generation", empty)
    workspace.set("grid.ladder", ["xs", "gpt2"])
    workspace.set("models.gpt2", {"family": "hub", "repository": "o/n", "revision": "main", "parameters": 10**8})
    with counting_hub() as (address, callers):
        monkeypatch.setenv("HF_ENDPOINT", address)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        output = workspace.run("python", "-m", "w2s", "cost", "--jobs", "1")
        assert callers == []
    assert "0 of 4 cells (task, weak, strong, method, seed) are cached" in output
    # 2 epochs of 96 texts of 128 tokens; 160 more of them read at 2 snapshots
    (student,) = (line for line in output.splitlines() if "sciq xs → gpt2 naive" in line)
    assert f"{si(2 * 96 * 128)}" in student
    assert f"{si(1e8 * 128 * (6 * 192 + 2 * 320))}" in student
    assert "sciq: not prepared yet, 128 tokens a text are assumed." in output
    assert "gpt2: not fetched yet, 4 characters a token are assumed." in output
    assert "fetching is not in the time" in output
    assert workspace.git("status", "--porcelain") == " M params.yaml\n"
    assert not (path / "models").exists()


def test_a_fault_is_told_in_one_line(fresh: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "repo"
    shutil.copytree(fresh.path, path)
    workspace = Workspace(path)
    workspace.set("grid.classification.weak", ["xx"])
    output = workspace.run("python", "-m", "w2s", "cost", fails=True)
    assert output.splitlines() == [
        "error: params.yaml: grid.classification.weak (must be in grid.ladder): unknown name 'xx' "
        "(known: xs, m, chess-xs, chess-s, chess-m); did you mean 'xs'?"
    ]


# Showing


def test_a_long_grid_is_folded() -> None:
    """22 tasks × 5 × 5 models × 6 methods × 5 seeds stay one screen; what is folded is counted."""
    numbers = {"task": 22, "weak": 5, "strong": 5, "method": 6, "seed": 5}
    places = itertools.product(*([f"{axis}{index}" for index in range(number)] for axis, number in numbers.items()))
    steps = [
        Step("student", dict(zip(numbers, place, strict=True)), RUN if place[4] == "seed0" else KEPT, Cost(60.0))
        for place in places
    ]
    _, *rows = table(steps).splitlines()
    assert len(rows) == 5
    for index, row in enumerate(rows):
        assert f"strong{index} × 5 seeds × 6 methods × 5 supervisors × 22 tasks" in row
        assert "2640 up to date, 660 to run" in row
        assert row.endswith("11.0 h")
    supervisors = [
        Step("supervise", {"task": f"task{t}", "weak": f"weak{w}"}, RUN) for t in range(22) for w in range(3)
    ]
    assert [f"weak{w} × 22 tasks" in row for w, row in enumerate(table(supervisors).splitlines()[1:])] == [
        True
    ] * 3  # by their model
    _, only = table(steps[:5]).splitlines()
    assert "task0 weak0 → strong0 method0 × 5 seeds" in only


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, ""), (1, "1 "), (999, "999 "), (999_600, "1 M"), (1234, "1.23 k"), (5.08e12, "5.08 T"), (2e21, "2e+03 E")],
)
def test_numbers_have_three_digits_and_a_prefix(number: float, text: str) -> None:
    assert si(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (119, "119 s"), (120, "2.0 min"), (7199, "120.0 min"), (7200, "2.0 h"), (2e5, "2.3 days")],
)
def test_durations_are_in_the_unit_they_are_read_best_in(seconds: float, text: str) -> None:
    assert duration(seconds) == text
