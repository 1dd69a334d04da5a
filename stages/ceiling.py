"""Ceiling: finetune the strong model on the student half's truth, to know what it could do."""

from pathlib import Path

from w2s import records
from w2s.models.heads import load_base
from w2s.params import load
from w2s.stage import run
from w2s.training.finetune import finetune
from w2s.training.losses.cross_entropy import cross_entropy
from w2s.training.reader import Labelled, Reader


def main(task: str, strong: str, seed: int) -> None:
    params = load()
    settings = params.finetune_for(task, strong)
    reader = Reader(params.tasks[task], records.BASES / strong)
    half = records.part(task, "student")
    examples = Labelled.read(reader, half / "inputs.parquet", half / "truth.parquet")
    model = load_base(records.BASES / strong)
    with records.atomic(Path("models/ceiling", task, strong, str(seed))) as out:
        test, order = records.part(task, "test") / "inputs.parquet", ("student", task, seed)
        finetune(model, reader, examples, cross_entropy, settings, order, test, out, f"ceiling {strong}")


if __name__ == "__main__":
    run(main)
