"""Label: the supervisor's own answers to inputs it never saw the truth of."""

from pathlib import Path

from w2s.core import files
from w2s.core.checks import load
from w2s.core.stage import run
from w2s.settings import reader as reader_of


def main(task: str, weak: str, seed: int) -> None:
    reader = reader_of(load(), task, weak)
    tuned = Path("models/supervisor", task, weak, str(seed), "model")
    model = reader.HEAD.load_tuned(tuned, reader.base, reader.settings)
    for part in ("student", "validation", "test"):
        reader.label(model, files.inputs(task, part), files.weak_labels(task, weak, seed) / f"{part}.parquet")


if __name__ == "__main__":
    run(main)
