"""An experiment as stage `evaluate` leaves it: made predictions of a small grid, measured by the real stage."""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import yaml

from stages import evaluate
from w2s.core import files
from w2s.core.checks import load
from w2s.core.params import Params
from w2s.report.tables import ReportGrid, Tables, read_tables

ROOT = Path(__file__).parents[2]
EXAMPLES = 400
SEEDS = (0, 1, 2)
STEPS = (10, 20, 30)
NO_CELLS: dict[str, Any] = {key: [] for key in ("tasks", "weak", "strong", "methods", "ceilings")}
NO_CELLS |= {"simulated": {"of": [], "weak": [], "methods": []}}
MOVES = np.array(["e4", "Nf3", "Qxd5"])
ACCURACY = {"xs": 0.58, "s": 0.76, "m": 0.9, "l": 0.985}
RECOVERED = {"naive": 0.25, "confidence": 0.7}
Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Cells:
    """One setting's block of the grid, and how good its models are."""

    setting: str = "classification"
    tasks: Sequence[str] = ("reviews",)
    weak: Sequence[str] = ("xs", "s")
    strong: Sequence[str] = ("m", "l")
    # of models trained on truth, by rising size
    accuracy: Mapping[str, float] = field(default_factory=lambda: ACCURACY)
    # the share of the gap to its ceiling that a method recovers; the first is the baseline
    recovered: Mapping[str, float] = field(default_factory=lambda: RECOVERED)
    # methods with a ceiling of their own, and by how much it is more accurate
    ceilings: Mapping[str, float] = field(default_factory=dict)
    simulated: Sequence[str] = ()
    zero_shot: float = 0.97
    supervisor_truth: float = 0.8
    scratch: float = 0.5
    # by how much accuracies differ between seeds
    spread: float = 0.0
    # methods that train nothing
    prompted: Sequence[str] = ()
    # are features kept, for probes?
    features: bool = False

    def ceiling(self, strong: str, method: str) -> float:
        return min(1, self.accuracy[strong] + self.ceilings.get(method, 0))

    def student(self, weak: str, strong: str, method: str) -> float:
        start = self.accuracy[weak]
        return start + self.recovered[method] * (self.ceiling(strong, method) - start)


CLASSIFICATION = Cells(features=True)
PREFERENCE = Cells(
    setting="preference",
    tasks=["preferences"],
    recovered={"naive": 0.25, "generative": 0.6},
    ceilings={"generative": 0.01},
)
GENERATION = Cells(
    setting="generation",
    tasks=["endgames"],
    weak=["chess-xs", "chess-s"],
    strong=["chess-m", "chess-l"],
    accuracy={"chess-xs": 0.2, "chess-s": 0.35, "chess-m": 0.6, "chess-l": 0.85},
    recovered={"naive": 0.3, "bootstrap": 0.5},
    zero_shot=0.02,
    scratch=0.1,
)
THREE = (CLASSIFICATION, PREFERENCE, GENERATION)


@dataclass(frozen=True)
class Experiment:
    """What stage `plot` reads."""

    folder: Path
    params: Params
    tables: Tables = field(repr=False)
    claims: dict[str, Any] = field(repr=False)

    @property
    def grid(self) -> ReportGrid:
        return ReportGrid.of(self.params, self.tables)


def experiment(folder: Path, *blocks: Cells) -> Experiment:
    """Write params.yaml and the predictions to a folder, and evaluate them there."""
    blocks = blocks or (CLASSIFICATION,)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(yaml.safe_dump(_params(blocks), sort_keys=False, allow_unicode=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for block in blocks:
            sizes = {model: 1000 * 3**place for place, model in enumerate(block.accuracy)}
            for task in block.tasks:
                _Task(task, block, sizes).write()
        evaluate.main()
    claims = json.loads((folder / "reports/claims.json").read_text(encoding="utf-8"))
    return Experiment(folder, load(folder / "params.yaml"), read_tables(folder / "reports"), claims)


def _params(blocks: Sequence[Cells]) -> dict[str, Any]:
    """The repository's params.yaml with this grid and only what it uses; other names get an entry like a known one."""
    params = deepcopy(_repository())
    entries: dict[str, dict[str, Any]] = {"tasks": {}, "models": {}, "methods": {}}
    grid = {
        "reports": "reports",
        "ladder": list(dict.fromkeys(model for block in blocks for model in block.accuracy)),
        "seeds": list(SEEDS),
        "classification": NO_CELLS,
        "preference": NO_CELLS,
        "generation": NO_CELLS,
    }
    for block in blocks:
        first = next(iter(block.recovered))
        lists = {"tasks": block.tasks, "weak": block.weak, "strong": block.strong, "methods": block.recovered}
        lists["ceilings"] = [first, *block.ceilings]
        grid[block.setting] = NO_CELLS | {key: list(names) for key, names in lists.items()}
        if block.simulated:
            grid[block.setting]["simulated"] = {
                "of": [block.weak[0]],
                "weak": list(block.simulated),
                "methods": [first],
            }
        for key, names, other in (
            ("tasks", block.tasks, "reviews"),
            ("models", block.accuracy, "xs"),
            ("methods", block.recovered, "hard"),
        ):
            entries[key] |= {name: params[key].get(name, params[key][other]) for name in names}
    return params | entries | {"grid": grid}


@cache
def _repository() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


class _Task:
    """Writes the files of one task."""

    def __init__(self, task: str, cells: Cells, sizes: Mapping[str, int]) -> None:
        self.task = task
        self.cells = cells
        self.sizes = sizes
        self.ids = np.array([f"{task}/{k:04}" for k in range(EXAMPLES)])
        self.in_words = cells.setting == "generation"
        self.truth = MOVES[np.arange(EXAMPLES) % 3] if self.in_words else np.arange(EXAMPLES) % 2.0

    def write(self) -> None:
        cells = self.cells
        first = next(iter(cells.recovered))
        inputs = {"id": self.ids, "text": self.ids, "group": self.ids}
        for seed in SEEDS:
            self._labels(files.truth(self.task, seed, "test"), self.truth)
            files.write(files.inputs(self.task, seed, "test"), files.TEXTS, inputs)
        for seed, weak in product(SEEDS, cells.weak):
            answers = self._answers(cells.accuracy[weak], seed, weak)
            self._labels(files.weak_labels(self.task, weak, seed) / "test.parquet", answers)
            self._run(files.run("supervisor", self.task, weak, seed), weak, answers)
        for seed, weak in product(SEEDS, cells.simulated):
            answers = self._answers(cells.accuracy[cells.weak[0]], seed, weak)
            self._labels(files.weak_labels(self.task, weak, seed) / "test.parquet", answers)
            for strong in cells.strong:
                answers = self._answers(cells.accuracy[strong], seed, weak, strong)
                self._run(files.run("student", self.task, weak, strong, first, seed), strong, answers)
        for seed, strong in product(SEEDS, cells.strong):
            control = files.run("control", self.task, strong, seed)
            self._labels(control / "zero_shot.parquet", self._answers(cells.zero_shot, seed, "zero_shot", strong))
            self._features(control, 0.5)
            answers = self._answers(cells.supervisor_truth, seed, "supervisor_truth", strong)
            self._run(control / "supervisor_truth", strong, answers)
            self._run(control / "scratch", strong, self._answers(cells.scratch, seed, "scratch", strong))
        for seed, strong, method in product(SEEDS, cells.strong, [first, *cells.ceilings]):
            folder = files.run("ceiling", self.task, strong, method, seed)
            answers = self._answers(cells.ceiling(strong, method), seed, "ceiling", strong, method)
            self._run(folder, strong, answers, prompted=method in cells.prompted)
            self._features(folder, 4)
        for seed, weak, strong, method in product(SEEDS, cells.weak, cells.strong, cells.recovered):
            folder = files.run("student", self.task, weak, strong, method, seed)
            answers = self._answers(cells.student(weak, strong, method), seed, weak, strong, method)
            self._run(folder, strong, answers, prompted=method in cells.prompted)
            self._features(folder, 1.5)

    def _answers(self, accuracy: float, seed: int, *key: str) -> Array:
        """Answers of which exactly this share is right, but for the spread of seeds."""
        rng = np.random.default_rng([ord(letter) for letter in "/".join([self.task, str(seed), *key])])
        accuracy += self.cells.spread * (seed - 1)
        wrong = rng.permutation(EXAMPLES) < round((1 - accuracy) * EXAMPLES)
        if self.in_words:
            return np.where(wrong, "Kh1", self.truth)
        confidence = np.round(rng.uniform(0.55, 0.95, EXAMPLES), 3)
        return np.where(wrong == (self.truth == 1), 1 - confidence, confidence)

    def _labels(self, path: Path, answers: Array) -> None:
        schema = files.ANSWERS if self.in_words else files.LABELS
        files.write(path, schema, {"id": self.ids, schema.names[-1]: answers})

    def _run(self, folder: Path, model: str, answers: Array, prompted: bool = False) -> None:
        """A training with three snapshots, the first of them hardly better than nothing, and its curves."""
        early = np.where(np.arange(EXAMPLES) % 4 == 0, answers, np.roll(answers, 1))
        snapshots = [answers] if prompted else [early, answers, answers]
        steps = [0] if prompted else STEPS
        schema = files.ANSWERS if self.in_words else files.LABELS
        columns = {"step": np.repeat(steps, EXAMPLES), "id": np.tile(self.ids, len(steps))}
        columns[schema.names[-1]] = np.concatenate(snapshots)
        files.write(folder / "predictions.parquet", pa.schema([files.STEP, *schema]), columns)
        files.write_json(folder / "run.json", {"model": model, "parameters": self.sizes[model]})
        for name, value in {} if prompted else {"loss": 0.7, "learning_rate": 1e-3, "accuracy": 0.6}.items():
            curve = folder / "live/plots/metrics" / f"{name}.tsv"
            curve.parent.mkdir(parents=True, exist_ok=True)
            curve.write_text("\n".join([f"step\t{name}", *(f"{step}\t{value}" for step in STEPS), ""]))

    def _features(self, folder: Path, strength: float) -> None:
        """Features in which the truth shows the more clearly the stronger it is."""
        if not self.cells.features:
            return
        rng = np.random.default_rng([ord(letter) for letter in str(folder)])
        features = rng.normal(size=(EXAMPLES, 2)) + strength * self.truth[:, None]
        schema = pa.schema([("id", pa.string()), ("features", pa.list_(pa.float32(), 2))])
        files.write(folder / "features.parquet", schema, {"id": self.ids, "features": [*features.astype(np.float32)]})
