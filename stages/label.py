"""Label: the supervisor's soft predictions on inputs it never saw the truth of."""

from pathlib import Path

from w2s import records
from w2s.models.heads import load_tuned
from w2s.params import load
from w2s.stage import run
from w2s.training.determinism import prepare_torch
from w2s.training.reader import Reader


def main(task: str, weak: str, seed: int) -> None:
    params = load()
    prepare_torch(params.finetune_for(task, weak).threads)
    tuned = Path("models/supervisor", task, weak, str(seed), "model")
    reader, model = Reader(params.tasks[task], tuned), load_tuned(tuned)
    for name in ("student", "validation", "test"):
        ids, items = reader.inputs(records.part(task, name) / "inputs.parquet")
        labels = {"id": ids, "p": reader.predict(model, items)}
        records.write(records.weak_labels(task, weak, seed) / f"{name}.parquet", records.LABELS, labels)


if __name__ == "__main__":
    run(main)
