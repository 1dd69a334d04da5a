"""Ceiling: finetune the strong model on the student half's truth, to know what it could do."""

from pathlib import Path

from w2s import records
from w2s.determinism import generator
from w2s.params import load
from w2s.settings import reader as reader_of
from w2s.stage import run
from w2s.training.finetune import finetune
from w2s.training.texts import start


def main(task: str, strong: str, method: str, seed: int) -> None:
    params = load()
    reader, recipe, name = reader_of(params, task, strong), params.methods[method], f"ceiling {strong} {method}"
    examples = reader.examples(records.inputs(task, "student"), records.truth(task, "student"))
    order, test = ("student", task, seed), records.inputs(task, "test")
    with records.atomic(Path("models/ceiling", task, strong, method, str(seed))) as out:
        with start(reader, recipe, records.texts(task), order, out, name) as first:
            model = reader.HEAD.load_base(first, reader.settings, generator("adapters", task, seed), reader.base)
        finetune(model, reader, examples, order, test, out, name, reader.settings.keep)


if __name__ == "__main__":
    run(main)
