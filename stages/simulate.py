"""Simulate: labels with as many errors as a supervisor's, but other ones. Made from truth, for comparison only."""

from w2s import records, simulated
from w2s.determinism import numpy_generator
from w2s.params import load
from w2s.stage import run


def main(task: str, weak: str, seed: int) -> None:
    of = load().grid.simulated.of
    for part in ("student", "validation", "test"):
        path = records.weak_labels(task, of, seed) / f"{part}.parquet"
        truth = records.read_labels(records.truth(task, part))
        given = records.aligned(records.read_labels(path), truth["id"], path)
        p = simulated.labels(weak, truth["p"].to_numpy(), given, numpy_generator("simulate", task, weak, part, seed))
        out = records.weak_labels(task, weak, seed) / f"{part}.parquet"
        records.write(out, records.LABELS, {"id": truth["id"], "p": p})


if __name__ == "__main__":
    run(main)
