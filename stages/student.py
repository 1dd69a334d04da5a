"""Student: finetune the strong model on the weak labels of its half, by one method."""

from pathlib import Path

from w2s import records
from w2s.determinism import generator
from w2s.params import load
from w2s.settings import reader as reader_of
from w2s.stage import run
from w2s.training.finetune import finetune
from w2s.training.methods import loss_of
from w2s.training.texts import start


def main(task: str, weak: str, strong: str, method: str, seed: int) -> None:
    params, where = load(), f"params.yaml: methods.{method}"
    recipe, name, order = params.methods[method], f"student {weak}→{strong} {method}", ("student", task, seed)
    half, validation, test = (records.inputs(task, part) for part in ("student", "validation", "test"))
    given = records.weak_labels(task, weak, seed)
    labels = given / "student.parquet"
    with records.atomic(Path("models/student", task, weak, strong, method, str(seed))) as out:
        for rung in params.grid.between(weak, strong) if recipe.via else []:
            reader = reader_of(params, task, rung, records.recipe(params.tasks[task].setting, method))
            loss, examples = loss_of(recipe, type(reader), where), reader.examples(half, labels, weak=True)
            model = reader.HEAD.load_base(reader.base, reader.settings, generator("adapters", task, seed, rung))
            passed = out / "via" / rung
            finetune(model, reader, examples, (*order, rung), test, passed, f"{name}: {rung}", "none", loss)
            labels = passed / "labels.parquet"
            reader.label(model, half, labels)
        reader = reader_of(params, task, strong)
        loss, examples = loss_of(recipe, type(reader), where), reader.examples(half, labels, weak=True)
        watched = reader.examples(validation, given / "validation.parquet", weak=True)
        with start(reader, recipe, records.texts(task), order, out, name) as first:
            model = reader.HEAD.load_base(first, reader.settings, generator("adapters", task, seed), reader.base)
        finetune(model, reader, examples, order, test, out, name, reader.settings.keep, loss, watched)


if __name__ == "__main__":
    run(main)
