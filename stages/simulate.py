"""Simulate: labels of supervisors that are no models. Made from truth, for comparison only."""

import numpy as np

from w2s.core import files
from w2s.core.checks import load
from w2s.core.determinism import numpy_generator
from w2s.core.stage import run
from w2s.data import simulated


def main(task: str, weak: str, seed: int) -> None:
    supervisor = load().grid.simulated.of
    for part in ("student", "validation", "test"):
        path = files.weak_labels(task, supervisor, seed) / f"{part}.parquet"
        truth = files.read_labels(files.truth(task, seed, part))
        weak_labels = files.aligned(files.read_labels(path), truth["id"], path)
        inputs = files.read(files.inputs(task, seed, part), files.TEXTS)
        length = dict(zip(inputs["id"].to_pylist(), map(len, inputs["text"].to_pylist()), strict=True))
        lengths = np.array([length[key] for key in truth["id"].to_pylist()])
        rng = numpy_generator("simulate", task, weak, part, seed)
        p = simulated.simulated_labels(weak, part, truth["p"].to_numpy(), weak_labels, lengths, rng)
        out = files.weak_labels(task, weak, seed) / f"{part}.parquet"
        files.write(out, files.LABELS, {"id": truth["id"], "p": p})


if __name__ == "__main__":
    run(main)
