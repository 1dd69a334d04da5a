"""Student: finetune the strong model on the weak labels of its half, by one method."""

from pathlib import Path

from w2s import records
from w2s.models.heads import load_base
from w2s.params import load
from w2s.stage import run
from w2s.training.finetune import finetune
from w2s.training.methods import loss_of
from w2s.training.reader import Labelled, Reader


def main(task: str, weak: str, strong: str, method: str, seed: int) -> None:
    params = load()
    loss = loss_of(params.methods[method], f"params.yaml: methods.{method}")
    settings = params.finetune_for(task, strong)
    reader = Reader(params.tasks[task], records.BASES / strong)
    labels = records.weak_labels(task, weak, seed)
    examples, validation = (
        Labelled.read(reader, records.part(task, name) / "inputs.parquet", labels / f"{name}.parquet")
        for name in ("student", "validation")
    )
    model = load_base(records.BASES / strong)
    with records.atomic(Path("models/student", task, weak, strong, method, str(seed))) as out:
        test, order = records.part(task, "test") / "inputs.parquet", ("student", task, seed)
        name = f"student {weak}→{strong} {method}"
        finetune(model, reader, examples, loss, settings, order, test, out, name, validation)


if __name__ == "__main__":
    run(main)
