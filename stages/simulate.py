"""Simulate: labels of supervisors that are no models. Most are made from truth, for comparison only."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from w2s.core import files
from w2s.core.checks import load
from w2s.core.determinism import numpy_generator
from w2s.core.grid import task_blocks
from w2s.core.stage import run
from w2s.data import simulated


def main(task: str, weak: str, seed: int) -> None:
    params = load()
    pairs = params.tasks[task].setting == "preference"
    supervisors = task_blocks(params.grid)[task].simulated.of
    for part in ("student", "validation", "test"):
        truth_path = files.truth(task, seed, part)
        truth = files.read_labels(truth_path)
        ids = truth["id"]
        paths = [simulated.gathered(task, seed) / supervisor / f"{part}.parquet" for supervisor in supervisors]
        labels = [files.aligned(files.read_labels(path), ids, path) for path in paths]
        inputs = files.inputs(task, seed, part)
        lengths = files.aligned(_lengths(files.read(inputs, files.PAIRS if pairs else files.TEXTS)), ids, inputs)
        rng = numpy_generator("simulate", task, weak, part, seed)
        answers = files.aligned(truth, ids, truth_path)
        made = simulated.simulated_labels(weak, part, answers, labels, lengths, rng)
        out = files.weak_labels(task, weak, seed) / f"{part}.parquet"
        files.write(out, truth.schema, {"id": ids, files.answer_column(truth): made})


def _lengths(inputs: pa.Table) -> pa.Table:
    """How many characters each example has, in all its texts."""
    texts = inputs.drop_columns(["id", "group"]).columns
    return pa.table({"id": inputs["id"], "length": np.sum([pc.utf8_length(text).to_numpy() for text in texts], axis=0)})


if __name__ == "__main__":
    run(main)
