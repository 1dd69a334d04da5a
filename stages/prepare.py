"""Prepare a task for one replicate: draw its examples and divide them into supervisor, student, validation and test.

Beside them go unlabelled texts of the same domain, for generative finetuning.
"""

from itertools import islice

from w2s.core import files
from w2s.core.checks import load
from w2s.core.stage import run
from w2s.core.validation import options_of
from w2s.data import tasks
from w2s.data.questions import Example, digest
from w2s.data.split import divide
from w2s.data.tasks import Stream


def main(task: str, seed: int) -> None:
    params = load()
    param_path = f"params.yaml: tasks.{task}"
    entry = params.tasks[task]
    family = tasks.family(entry.family, f"{param_path}.family")
    corpus = params.corpora[entry.corpus] if entry.corpus else None
    stream = family.examples(params.split, corpus, seed, param_path, **options_of(family.examples, entry, param_path))
    parts = divide(stream, params.split, param_path)
    for part, examples in parts.items():
        write_part(task, seed, part, examples)
    texts = unlabelled_texts(stream, parts["student"])
    ids = [digest(text) for text in texts]
    files.write(files.texts(task, seed), files.strings("id", "text"), {"id": ids, "text": texts})
    files.write_json(files.task_entry(task, seed), entry.model_dump())
    counts = {part: len(examples) for part, examples in parts.items()}
    files.write_json(files.source(task, seed), stream.source | {"examples": counts})


def write_part(task: str, seed: int, part: str, examples: list[Example]) -> None:
    """Write the inputs of one part, and its truth in a file of its own."""
    ids = [example.id for example in examples]
    groups = [example.group for example in examples]
    columns = {column: [example.inputs[column] for example in examples] for column in examples[0].inputs}
    schema = files.strings("id", *columns, "group")
    files.write(files.inputs(task, seed, part), schema, {"id": ids, **columns, "group": groups})
    in_words = isinstance(examples[0].answer, str)
    labels = files.ANSWERS if in_words else files.LABELS
    truth = [example.answer if in_words else float(example.answer) for example in examples]
    files.write(files.truth(task, seed, part), labels, {"id": ids, files.answer_column(labels): truth})


def unlabelled_texts(stream: Stream, students: list[Example]) -> list[str]:
    """Distinct texts without labels: two for each of the student's examples, or the texts of its own inputs."""
    if stream.unlabelled is None:
        return list(dict.fromkeys(text for example in students for text in example.inputs.values()))
    return list(dict.fromkeys(islice(stream.unlabelled, 2 * len(students))))


if __name__ == "__main__":
    run(main)
