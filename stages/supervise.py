"""Supervise: finetune a weak model on the supervisor half's truth, and keep it."""

from pathlib import Path

from w2s import records
from w2s.determinism import generator
from w2s.params import Keep, load
from w2s.settings import reader as reader_of
from w2s.stage import run
from w2s.training.finetune import finetune


def main(task: str, weak: str, seed: int) -> None:
    reader = reader_of(load(), task, weak)
    settings = reader.settings
    examples = reader.examples(records.inputs(task, "supervisor"), records.truth(task, "supervisor"))
    model = reader.HEAD.load_base(reader.base, settings, generator("adapters", task, seed))
    keep: Keep = "full" if "full" in (settings.tune, settings.keep) else "adapter"  # `label` needs it
    order, test = ("supervisor", task, seed), records.inputs(task, "test")
    with records.atomic(Path("models/supervisor", task, weak, str(seed))) as out:
        finetune(model, reader, examples, order, test, out, f"supervise {weak}", keep)


if __name__ == "__main__":
    run(main)
