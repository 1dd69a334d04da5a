"""Ceiling: finetune the strong model on the student half's truth, to know what it could do."""

from pathlib import Path

from w2s.core import files
from w2s.core.checks import load
from w2s.core.stage import run
from w2s.methods.few_shot import prompt
from w2s.methods.teach import teach
from w2s.settings import reader as reader_of


def main(task: str, strong: str, method: str, seed: int) -> None:
    params = load()
    recipe, order = params.methods[method].on_truth, ("student", task, seed)
    reader, name = reader_of(params, task, strong, method), f"ceiling {strong} {method}"
    half, truth, test = files.inputs(task, "student"), files.truth(task, "student"), files.inputs(task, "test")
    with files.atomic(Path("models/ceiling", task, strong, method, str(seed))) as out:
        if recipe.shots:
            prompt(reader, recipe.shots, half, truth, order, test, out)
            return
        examples = reader.examples(half, truth)
        teach(reader, recipe, examples, order, files.texts(task), test, out, name, reader.settings.keep)


if __name__ == "__main__":
    run(main)
