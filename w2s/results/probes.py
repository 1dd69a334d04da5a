"""How linearly a model's features show the truth: logistic regression, fitted on one half and asked about the other."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from w2s.core import files
from w2s.results.metrics import Array, Mask

PENALTY = 0.1  # ridge beside the mean loss, ½ · PENALTY · ‖weights‖²: features often outnumber examples
Folds = npt.NDArray[np.int64]


def read(path: Path) -> tuple[pa.ChunkedArray, Array]:
    """Ids, and the features [n, d] that a run's head read of them in the end; in the order of ids."""
    table = files.read(path, pa.schema([files.TEXTS.field("id"), pq.read_schema(path).field("features")]))
    table = table.sort_by("id")
    return table["id"], np.stack(table["features"].to_numpy()).astype(float)


def folds(truth: Array, groups: npt.NDArray[Any], seed: int) -> Folds | None:
    """Which half each example is in, 0 or 1: as many true in both, and no group in two; None if there are too few."""
    from sklearn.model_selection import StratifiedGroupKFold  # takes a second to import

    if np.bincount(truth.astype(int), minlength=2).min() < 2 or len(np.unique(groups)) < 2:
        return None
    _, second = next(StratifiedGroupKFold(2, shuffle=True, random_state=seed).split(truth, truth, groups))
    half = np.isin(np.arange(len(truth)), second).astype(np.int64)
    return half if all(len(np.unique(truth[half == h])) == 2 for h in (0, 1)) else None


def right(features: Array, truth: Array, half: Folds) -> Mask:
    """Where the probe that was fitted on the other half says the truth [n]; features are standardised by that half."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    said = np.empty(len(truth))
    for held in (0, 1):
        seen = half != held
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=1 / (PENALTY * seen.sum()), max_iter=1000))
        said[~seen] = probe.fit(features[seen], truth[seen]).predict(features[~seen])
    return said == truth
