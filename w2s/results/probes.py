"""How linearly a model's features represent the truth: a logistic regression fitted on one half, tested on the other.

All models of a task are probed on the same halves of the same examples, and no group of examples is in both halves.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from w2s.core import files
from w2s.core.errors import UserError
from w2s.results.collect import ModelKey, TaskPredictions
from w2s.results.metrics import Array, Mask

PENALTY = 0.1  # ridge beside the mean loss, ½ · PENALTY · ‖weights‖²: features often outnumber examples
Halves = npt.NDArray[np.int64]


def probe(predictions: TaskPredictions, seed: int) -> Iterator[tuple[ModelKey, list[Array]]]:
    """Each model whose features were kept, and where a probe of them is correct.

    1 or 0, NaN if not probed, by the grid's seeds [N]. Models are ceilings, students, and the base models of both.
    `seed` draws the halves.
    """
    halves_of: dict[tuple[int, tuple[int, ...]], Halves | None] = {}
    for key, paths in _feature_files(predictions).items():
        if not all(path.exists() for path in paths):
            continue
        correct_by_seed = []
        for s, path in enumerate(paths):
            truth = predictions.truth[s]
            correct_here = np.full(len(truth), np.nan)
            ids, features = read_features(path)
            found = pc.index_in(ids, value_set=predictions.ids[s])
            if found.null_count:
                raise UserError(f"{path}: {found.null_count} ids are not among the test inputs")
            positions = found.to_numpy()
            examples = (s, tuple(positions))
            if examples not in halves_of:
                groups = np.array(predictions.groups[s])[positions]
                halves_of[examples] = split_in_halves(truth[positions], groups, seed)
            halves = halves_of[examples]
            if halves is not None:
                correct_here[positions] = correct(features, truth[positions], halves)
            correct_by_seed.append(correct_here)
        yield key, correct_by_seed


def read_features(path: Path) -> tuple[pa.ChunkedArray, Array]:
    """Ids, and the features [n, d] that a run's head reads after training; in the order of ids."""
    table = files.read(path, pa.schema([files.TEXTS.field("id"), pq.read_schema(path).field("features")]))
    table = table.sort_by("id")
    return table["id"], np.stack(table["features"].to_numpy()).astype(float)


def split_in_halves(truth: Array, groups: npt.NDArray[Any], seed: int) -> Halves | None:
    """Which half each example is in, 0 or 1 [n]: as many true in both, and no group in two; None if too few."""
    # Takes a second to import.
    from sklearn.model_selection import StratifiedGroupKFold

    if np.bincount(truth.astype(int), minlength=2).min() < 2 or len(np.unique(groups)) < 2:
        return None
    _, second = next(StratifiedGroupKFold(2, shuffle=True, random_state=seed).split(truth, truth, groups))
    halves = np.isin(np.arange(len(truth)), second).astype(np.int64)
    both_classes = all(len(np.unique(truth[halves == half])) == 2 for half in (0, 1))
    return halves if both_classes else None


def correct(features: Array, truth: Array, halves: Halves) -> Mask:
    """Where a probe fitted on the other half predicts the truth [n]; features [n, d] are standardised by that half."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    predicted = np.empty(len(truth))
    for half in (0, 1):
        fitted = halves != half
        regression = LogisticRegression(C=1 / (PENALTY * fitted.sum()), max_iter=1000)
        pipeline = make_pipeline(StandardScaler(), regression)
        pipeline.fit(features[fitted], truth[fitted])
        predicted[~fitted] = pipeline.predict(features[~fitted])
    return predicted == truth


def _feature_files(predictions: TaskPredictions) -> dict[ModelKey, list[Path]]:
    """Where each model's features would be, by seed; those of base models last."""
    paths = {
        key: [run.folder / "features.parquet" for run in model.runs]
        for key, model in predictions.models.items()
        if key.role in ("ceiling", "student")
    }
    for strong in dict.fromkeys(key.strong for key in paths):
        paths[ModelKey("base", strong=strong)] = [
            files.run("control", predictions.grid.task, strong, seed) / "features.parquet"
            for seed in predictions.grid.seeds
        ]
    return paths
