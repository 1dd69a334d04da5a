"""Made-up predictions of a whole grid, and the tables that `evaluate` makes of them."""

import csv
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from w2s.core import files
from w2s.core.checks import load
from w2s.core.grid import task_blocks
from w2s.core.params import Evaluate, Grid, Method, Params
from w2s.results import tables as declared
from w2s.results.evaluate import evaluate

SIZES = {"xs": 11, "s": 26, "m": 35, "l": 102, "chess-xs": 12, "chess-s": 30, "chess-l": 200}
SKILL = {"xs": 0.5, "s": 1.2, "m": 2.5, "l": 4.0, "chess-xs": 0.5, "chess-s": 1.2, "chess-l": 4.0}
NOT_SIMULATED: dict[str, list[str]] = {"of": [], "weak": [], "methods": []}
SIMULATED = {"of": ["xs"], "weak": ["random-errors"], "methods": ["naive"]}
EMPTY: dict = {"tasks": [], "weak": [], "strong": [], "methods": [], "ceilings": [], "simulated": NOT_SIMULATED}
REVIEWS = {
    "tasks": ["reviews"],
    "weak": ["xs", "s"],
    "strong": ["s", "l"],
    "methods": ["naive", "confidence"],
    "ceilings": ["naive"],
    "simulated": NOT_SIMULATED,
}
PREFERENCES = REVIEWS | {"tasks": ["preferences"], "methods": ["naive", "generative"]}
PREFERENCES |= {"ceilings": ["naive", "generative"]}
CHESS = {
    "tasks": ["endgames"],
    "weak": ["chess-xs", "chess-s"],
    "strong": ["chess-l"],
    "methods": ["naive", "bootstrap"],
    "ceilings": ["naive"],
    "simulated": NOT_SIMULATED,
}
MOVES = np.array(["e4", "Nf3", "Qxd5", "O-O", "Kh1"], object)
METHODS = load(Path(__file__).parents[2] / "params.yaml").methods
Rows = list[dict[str, str]]


def parameters(
    smallest_gap: float = 0.05,
    seeds: tuple[int, ...] = (0, 1, 2),
    preference: dict = EMPTY,
    generation: dict = EMPTY,
    catalogue: dict[str, Method] = METHODS,
    **classification: object,
) -> Params:
    how = Evaluate(seed=0, confidence=0.95, smallest_gap=smallest_gap)
    grid = Grid(
        reports="reports",
        ladder=list(SIZES),
        seeds=list(seeds),
        classification=REVIEWS | classification,
        preference=preference,
        generation=generation,
    )
    return Params.model_construct(grid=grid, evaluate=how, methods=catalogue)


def three_settings() -> Params:
    return parameters(preference=PREFERENCES, generation=CHESS)


def make(root: Path, params: Params, examples: int = 300, snapshots: int = 3, shuffle: int = 0) -> None:
    """Write a grid's files: each prediction is a noisy view of the truth, in an order of its own."""
    order = np.random.default_rng(shuffle)

    def view(skill: float, *key: str | int, of: np.ndarray) -> np.ndarray:
        """P(true), rounded so that there are ties; in words, the more of the truth the more skill."""
        noise = np.random.default_rng([ord(c) for c in "/".join(map(str, key))]).normal(size=examples)
        if of.dtype == object:
            return np.where(noise < skill - 1, of, MOVES[(1000 * np.abs(noise)).astype(int) % len(MOVES)])
        return np.round(1 / (1 + np.exp(-(skill * (2 * of - 1) + noise))), 3)

    def labels(path: Path, answers: np.ndarray) -> None:
        write(path, ids[order.permutation(examples)], dict(zip(ids, answers, strict=True)))

    def run(folder: Path, model: str, answers: np.ndarray) -> None:
        steps = [10 * (t + 1) for t in range(snapshots)]
        rows = order.permutation(examples * snapshots)
        if answers.dtype == object:  # ever more of the final answers
            early = [np.where(np.arange(examples) < examples * step / steps[-1], answers, "e4") for step in steps]
        else:
            early = [0.5 + (answers - 0.5) * (t + 1) / snapshots for t in range(snapshots)]
        columns = {"step": np.repeat(steps, examples)[rows], "id": np.tile(ids, snapshots)[rows]}
        kind = files.ANSWERS if answers.dtype == object else files.LABELS
        columns[kind.names[-1]] = np.concatenate(early)[rows]
        files.write(folder / "predictions.parquet", pa.schema([files.STEP, *kind]), columns)
        files.write_json(folder / "run.json", {"model": model, "parameters": SIZES[model], "examples": 9, "steps": 30})
        live = folder / "live/plots/metrics"
        live.mkdir(parents=True)
        for name, value in {"loss": 0.7, "learning_rate": 1e-3, "accuracy": 0.6}.items():
            lines = [f"{step}\t{value + (int(folder.name) if folder.name.isdigit() else 0)}" for step in steps]
            (live / f"{name}.tsv").write_text("\n".join([f"step\t{name}", *lines, ""]))
        if "student" in folder.parts:
            (live / "agreement.tsv").write_text("step\tagreement\n30\t0.9\n")

    for task, block in task_blocks(params.grid).items():
        ids = np.array([f"{task}/{k:05}" for k in range(examples)])
        spoken = block is params.grid.generation
        truth = MOVES[np.arange(examples) % 3] if spoken else np.arange(examples) % 2.0
        group = [f"{k // 2}" for k in range(examples)]
        for seed in params.grid.seeds:
            labels(root / files.truth(task, seed, "test"), truth)
            inputs = {"id": ids, "text": ids, "group": group}
            files.write(root / files.inputs(task, seed, "test"), files.TEXTS, inputs)
        weak_labels = {}
        for seed in params.grid.seeds:
            for weak in block.weak:
                weak_labels[weak] = view(SKILL[weak], "supervisor", weak, seed, of=truth)
                labels(root / "data/weak_labels" / task / weak / str(seed) / "test.parquet", weak_labels[weak])
                run(root / "runs/supervisor" / task / weak / str(seed), weak, weak_labels[weak])
            for weak in block.simulated.weak:
                weak_labels[weak] = view(1, weak, seed, of=truth) if spoken else np.round(view(1, weak, seed, of=truth))
                labels(root / "data/weak_labels" / task / weak / str(seed) / "test.parquet", weak_labels[weak])
            for strong in block.strong:
                control = root / "runs/control" / task / strong / str(seed)
                labels(control / "zero_shot.parquet", view(0.2, "zero", strong, of=truth))
                run(
                    control / "supervisor_truth",
                    strong,
                    view(SKILL[strong], "supervisor_truth", strong, seed, of=truth),
                )
                run(control / "scratch", strong, view(0, "scratch", strong, seed, of=truth))
                for method in block.ceilings:
                    folder = root / "runs/ceiling" / task / strong / method / str(seed)
                    skill = SKILL[strong] / (1 if method == "naive" else 2)
                    run(folder, strong, view(skill, "ceiling", strong, seed, of=truth))
                lessons = [*product(block.weak, block.methods)]
                lessons += product(block.simulated.weak, block.simulated.methods)
                for weak, method in lessons:
                    folder = root / "runs/student" / task / weak / strong / method / str(seed)
                    run(folder, strong, view(1.5, weak, strong, method, seed, of=weak_labels[weak]))


def write(path: Path, ids: np.ndarray | list, answers: dict[str, float | str]) -> None:
    """Labels of these ids: P(true), or answers in words."""
    values = [answers[id] for id in ids]
    kind = files.ANSWERS if isinstance(values[0], str) else files.LABELS
    files.write(path, kind, {"id": ids, kind.names[-1]: values})


def tables(folder: Path) -> dict[str, Rows]:
    return {path: list(csv.DictReader((folder / path).open(newline=""))) for path in declared.TABLES}


def evaluated(params: Params, folder: str = "reports") -> dict[str, Rows]:
    evaluate(params, Path(folder))
    return tables(Path(folder))


def final(path: str) -> np.ndarray:
    """Final hard answers in the order of ids, read by another way than the code under test."""
    frame = pq.read_table(path, partitioning=None).to_pandas()
    if "step" in frame:
        frame = frame[frame["step"] == frame["step"].max()]
    frame = frame.sort_values("id")
    return frame["answer"].to_numpy() if "answer" in frame else frame["p"].to_numpy() > 0.5
