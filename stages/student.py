"""Student: finetune the strong model on the weak labels of its half, by one method."""

from pathlib import Path

from w2s.core import files
from w2s.core.checks import load
from w2s.core.grid import intermediate_models
from w2s.core.params import Keep
from w2s.core.stage import run
from w2s.methods import loss_of
from w2s.methods.few_shot import prompt
from w2s.methods.teach import teach
from w2s.settings import reader as reader_of


def main(task: str, weak: str, strong: str, method: str, seed: int) -> None:
    params = load()
    recipe, order, name = params.methods[method], ("student", task, seed), f"student {weak}→{strong} {method}"
    half, validation, test = (files.inputs(task, part) for part in ("student", "validation", "test"))
    teacher, rungs = files.weak_labels(task, weak, seed), intermediate_models(params.grid, recipe, weak, strong)
    with files.atomic(Path("models/student", task, weak, strong, method, str(seed))) as out:
        for hop, rung in enumerate([*rungs, strong]):
            bases = files.BASES if rung == strong else files.method(params.tasks[task].setting, method)
            reader, left = reader_of(params, task, rung, method, bases), rungs[hop:]
            if recipe.shots:
                prompt(reader, recipe.shots, half, teacher / "student.parquet", order, test, out)
                return
            examples = reader.examples(half, teacher / "student.parquet", weak=True)
            watched = reader.examples(validation, teacher / "validation.parquet", weak=True)
            loss = loss_of(recipe, type(reader), f"params.yaml: methods.{method}")
            place = out / "via" / f"{hop}-{rung}" if left else out
            keep: Keep = "none" if left else reader.settings.keep
            about = ((*order, *left), files.texts(task), test, place, f"{name} {rung}" if left else name)
            model = teach(reader, recipe, examples, *about, keep, loss, watched)
            if left:  # the next one's teacher
                reader.label(model, half, place / "student.parquet")
                reader.label(model, validation, place / "validation.parquet")
                teacher = place
            del model


if __name__ == "__main__":
    run(main)
