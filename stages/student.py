"""Student: finetune the strong model on the weak labels of its half, by one method."""

from pathlib import Path

from w2s import records
from w2s.params import load
from w2s.settings import reader as reader_of
from w2s.stage import run
from w2s.training.methods import loss_of
from w2s.training.prompting import prompt
from w2s.training.teach import teach


def main(task: str, weak: str, strong: str, method: str, seed: int) -> None:
    params = load()
    recipe, name = params.methods[method], f"student {weak}→{strong} {method}"
    half, validation, test = (records.inputs(task, part) for part in ("student", "validation", "test"))
    given, texts = records.weak_labels(task, weak, seed), records.texts(task)
    reader, labels = reader_of(params, task, strong, recipe), given / "student.parquet"
    loss = loss_of(recipe, type(reader), f"params.yaml: methods.{method}")
    with records.atomic(Path("models/student", task, weak, strong, method, str(seed))) as out:
        if recipe.shots:
            prompt(reader, recipe.shots, half, labels, ("student", task, seed), test, out)
            return
        for hop, rung in enumerate(params.grid.passed(recipe, weak, strong)):
            bases = records.BASES if rung == strong else records.recipe(params.tasks[task].setting, method)
            between = reader_of(params, task, rung, recipe, bases)
            examples, passed = between.examples(half, labels), out / "via" / f"{hop}-{rung}"
            watched = between.examples(validation, given / "validation.parquet")
            about = (texts, test, passed, f"{name}: {rung}")
            model = teach(
                between, recipe, examples, ("student", task, seed, hop), *about, keep="none", loss=loss, watched=watched
            )
            labels = passed / "labels.parquet"
            between.label(model, half, labels)
        examples, watched = reader.examples(half, labels), reader.examples(validation, given / "validation.parquet")
        about = (texts, test, out, name)
        teach(reader, recipe, examples, ("student", task, seed), *about, reader.settings.keep, loss, watched)


if __name__ == "__main__":
    run(main)
