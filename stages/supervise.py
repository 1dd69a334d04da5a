"""Supervise: finetune a weak model on the supervisor half's truth, and keep it."""

from pathlib import Path

from w2s import records
from w2s.models.heads import load_base
from w2s.params import load
from w2s.stage import run
from w2s.training.finetune import finetune
from w2s.training.losses.cross_entropy import cross_entropy
from w2s.training.reader import Labelled, Reader


def main(task: str, weak: str, seed: int) -> None:
    params = load()
    settings = params.finetune_for(task, weak)
    reader = Reader(params.tasks[task], records.BASES / weak)
    half = records.part(task, "supervisor")
    examples = Labelled.read(reader, half / "inputs.parquet", half / "truth.parquet")
    model = load_base(records.BASES / weak)
    with records.atomic(Path("models/supervisor", task, weak, str(seed))) as out:
        test, order = records.part(task, "test") / "inputs.parquet", ("supervisor", task, seed)
        finetune(model, reader, examples, cross_entropy, settings, order, test, out, f"supervise {weak}")
        model.save(out / "model")
        reader.tokenizer.save_pretrained(out / "model")


if __name__ == "__main__":
    run(main)
