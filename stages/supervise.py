"""Supervise: finetune a weak model on the supervisor half's truth, and keep it."""

from pathlib import Path

from w2s.core import files
from w2s.core.checks import load
from w2s.core.determinism import generator
from w2s.core.params import Keep
from w2s.core.stage import run
from w2s.settings import reader as reader_of
from w2s.training.finetune import finetune


def main(task: str, weak: str, seed: int) -> None:
    reader = reader_of(load(), task, weak)
    settings = reader.settings
    examples = reader.examples(files.inputs(task, "supervisor"), files.truth(task, "supervisor"))
    model = reader.HEAD.load_base(reader.base, settings, generator("adapters", task, seed))
    keep: Keep = "full" if "full" in (settings.tune, settings.keep) else "adapter"  # `label` needs it
    order, test = ("supervisor", task, seed), files.inputs(task, "test")
    with files.atomic(Path("models/supervisor", task, weak, str(seed))) as out:
        finetune(model, reader, examples, order, test, out, f"supervise {weak}", keep)


if __name__ == "__main__":
    run(main)
