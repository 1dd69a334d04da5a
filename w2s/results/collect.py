"""From the files of the grid's runs to arrays: what every model of a task predicts of its test inputs, joined by id."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from w2s.core import files
from w2s.core.errors import UserError
from w2s.core.grid import ceiling_method, setting_blocks
from w2s.core.params import Block, Params
from w2s.results import recipes
from w2s.results.metrics import Answers

# Of a strong model: not finetuned; finetuned on the supervisor half's truth; finetuned from random weights.
CONTROLS = ("zero_shot", "supervisor_truth", "scratch")


class ModelKey(NamedTuple):
    """Which model of a task: its role and, as far as the role has them, its place in the grid."""

    role: str  # supervisor, ceiling, student, one of `CONTROLS`, or base (of which only features are measured)
    weak: str = ""
    strong: str = ""
    method: str = ""


@dataclass(frozen=True)
class TaskGrid:
    """What the grid asks of one task."""

    task: str
    setting: str
    block: Block
    seeds: list[int]
    methods: recipes.Methods  # of the block

    @property
    def students(self) -> list[ModelKey]:
        """The students of real supervisors, then those of simulated ones."""
        block = self.block
        places = [*product(block.weak, block.strong, block.methods)]
        places += product(block.simulated.weak, block.strong, block.simulated.methods)
        return [ModelKey("student", *place) for place in places]

    @property
    def baseline(self) -> str | None:
        """The method without parts, which others are compared with."""
        return recipes.baseline(self.methods)

    @property
    def reference_ceiling(self) -> str:
        """The ceiling method that stands for the task: the baseline, or the first one."""
        return ceiling_method(self.block, self.baseline or self.block.ceilings[0])


def task_grids(params: Params) -> Iterator[TaskGrid]:
    """The grid, task by task."""
    for setting, block in setting_blocks(params.grid).items():
        methods = {name: params.methods[name] for name in block.methods}
        for task in block.tasks:
            yield TaskGrid(
                task=task,
                setting=setting,
                block=block,
                seeds=params.grid.seeds,
                methods=methods,
            )


@dataclass(frozen=True)
class TrainingRun:
    """One training: its predictions on the test inputs at each snapshot, and the folder it was read from."""

    folder: Path
    steps: list[int]  # rising
    answers: Answers  # [steps, N]
    parameters: int


@dataclass(frozen=True)
class ModelRuns:
    """A model in its role, under every seed."""

    key: ModelKey
    answers: list[Answers]  # by seed: final predictions [N]
    runs: list[TrainingRun]  # by seed; none for what was not trained: zero-shot models, simulated supervisors

    @property
    def model(self) -> str:
        """Name of the model that predicts."""
        return self.key.strong or self.key.weak


@dataclass(frozen=True)
class TaskPredictions:
    """A task's test truth and every model's predictions: of each seed, which has test examples of its own."""

    grid: TaskGrid
    ids: list[pa.ChunkedArray]  # by seed, sorted: the order of its truth and predictions
    groups: list[list[str]]  # by seed, of each test example: those of a group share a source
    truth: list[Answers]  # by seed [N]
    models: dict[ModelKey, ModelRuns]  # supervisors first, students last
    words: list[str]  # the answers in words, by their codes; none where answers are P(true)


@dataclass(frozen=True)
class AnswerReader:
    """Reads one seed's answers in the order of `ids`: P(true) as float64, or text answers as integer codes."""

    ids: pa.ChunkedArray
    column: str  # of the truth: p or answer
    codes: dict[str, int]  # text answer → its code, in the order first met; of all seeds together

    def __call__(self, labels: pa.Table, path: Path) -> Answers:
        """Answers [N] of a table read from `path`; raises `UserError` if its ids or its kind of answer differ."""
        column = labels.column_names[-1]
        if column != self.column:
            raise UserError(f"{path}: has the column {column}, but the task's truth has {self.column}")
        answers = files.aligned(labels, self.ids, path)
        if self.column == "p":
            return answers
        return np.array([self.codes.setdefault(answer, len(self.codes)) for answer in answers], np.int64)


def supervisor_of(student: ModelKey) -> ModelKey:
    """The supervisor whose labels a student was trained on."""
    return ModelKey("supervisor", student.weak)


def ceiling_of(student: ModelKey, block: Block) -> ModelKey:
    """The ceiling that a student is compared with."""
    return ModelKey("ceiling", strong=student.strong, method=ceiling_method(block, student.method))


Readers = dict[int, AnswerReader]  # by seed


def collect(grid: TaskGrid) -> TaskPredictions:
    """Read a task's truth and predictions; raises `UserError` with the file that is missing or does not fit."""
    readers: Readers = {}
    truths = []
    codes: dict[str, int] = {}
    for seed in grid.seeds:
        path = files.truth(grid.task, seed, "test")
        # Sorted by id, no order of rows in a file matters.
        table = files.read_labels(path).sort_by("id")
        readers[seed] = AnswerReader(table["id"], table.column_names[-1], codes)
        truth = readers[seed](table, path)
        if len(truth) == 0 or not (readers[seed].column == "answer" or np.isin(truth, (0, 1)).all()):
            raise UserError(f"{path}: truth must be 0 or 1, or an answer in words, for at least one example")
        truths.append(truth)
    models = [*_supervisors(grid, readers), *_strong_models(grid, readers), *_students(grid, readers)]
    ids = [reader.ids for reader in readers.values()]
    groups = [files.read_groups(files.inputs(grid.task, seed, "test"), reader.ids) for seed, reader in readers.items()]
    return TaskPredictions(grid, ids, groups, truths, {model.key: model for model in models}, list(codes))


# Every file is looked for by its place in the grid, so that leftovers of other grids stay out.


def _supervisors(grid: TaskGrid, readers: Readers) -> Iterator[ModelRuns]:
    for weak in dict.fromkeys(student.weak for student in grid.students):
        labels = {seed: files.weak_labels(grid.task, weak, seed) / "test.parquet" for seed in grid.seeds}
        # What students learn from is what is measured: the labels, not the run's own predictions.
        answers = [_read_labels(path, readers[seed]) for seed, path in labels.items()]
        folders = {seed: files.run("supervisor", grid.task, weak, seed) for seed in grid.seeds}
        runs = _read_runs(folders, readers) if weak in grid.block.weak else []
        yield ModelRuns(ModelKey("supervisor", weak), answers, runs)


def _strong_models(grid: TaskGrid, readers: Readers) -> Iterator[ModelRuns]:
    """Ceilings and controls."""
    for strong in grid.block.strong:
        for method in grid.block.ceilings:
            folders = {seed: files.run("ceiling", grid.task, strong, method, seed) for seed in grid.seeds}
            yield _trained(ModelKey("ceiling", strong=strong, method=method), folders, readers)
        controls = {seed: files.run("control", grid.task, strong, seed) for seed in grid.seeds}
        trained = {seed: control / "supervisor_truth" for seed, control in controls.items()}
        yield _trained(ModelKey("supervisor_truth", strong=strong), trained, readers)
        # In a control that ran, a missing file is what could not be made: an encoder has no zero-shot answer, and a
        # body that is not tuned is not trained from scratch.
        zero_shot = {seed: control / "zero_shot.parquet" for seed, control in controls.items()}
        if all(path.exists() for path in zero_shot.values()):
            answers = [_read_labels(path, readers[seed]) for seed, path in zero_shot.items()]
            yield ModelRuns(ModelKey("zero_shot", strong=strong), answers, [])
        scratch = {seed: control / "scratch" for seed, control in controls.items()}
        if all(folder.exists() for folder in scratch.values()):
            yield _trained(ModelKey("scratch", strong=strong), scratch, readers)


def _students(grid: TaskGrid, readers: Readers) -> Iterator[ModelRuns]:
    for key in grid.students:
        folders = {seed: files.run("student", grid.task, key.weak, key.strong, key.method, seed) for seed in grid.seeds}
        yield _trained(key, folders, readers)


def _trained(key: ModelKey, folders: Mapping[int, Path], readers: Readers) -> ModelRuns:
    runs = _read_runs(folders, readers)
    return ModelRuns(key, [run.answers[-1] for run in runs], runs)


def _read_runs(folders: Mapping[int, Path], readers: Readers) -> list[TrainingRun]:
    """One model's runs by seed, all with as many snapshots."""
    runs = [_read_run(folder, readers[seed]) for seed, folder in folders.items()]
    for run in runs:
        # Filtered labels may leave a seed fewer updates, so the steps themselves may differ.
        if len(run.steps) != len(runs[0].steps):
            raise UserError(f"{run.folder}: predicts at steps {run.steps}, the first seed at {runs[0].steps}")
    return runs


def _read_run(folder: Path, read: AnswerReader) -> TrainingRun:
    path = folder / "predictions.parquet"
    table = files.read_predictions(path)
    steps = sorted(pc.unique(table["step"]).to_pylist())
    if not steps:
        raise UserError(f"{path}: holds no prediction")
    answers = [read(table.filter(pc.equal(table["step"], step)), path) for step in steps]
    try:
        parameters = int(json.loads((folder / "run.json").read_text(encoding="utf-8"))["parameters"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{folder / 'run.json'}: not a run's record with its number of parameters") from None
    return TrainingRun(folder, steps, np.stack(answers), parameters)


def _read_labels(path: Path, read: AnswerReader) -> Answers:
    return read(files.read_labels(path), path)
