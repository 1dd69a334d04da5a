"""Prepare a task: draw its examples and divide them, group by group, into supervisor, student, validation and test.

Beside them go unlabelled texts of the same domain, for generative finetuning.
"""

from itertools import islice

from w2s.core import files
from w2s.core.checks import load
from w2s.core.stage import run
from w2s.core.validation import options_of
from w2s.data import tasks
from w2s.data.split import divide
from w2s.data.tasks import Example, Stream, digest


def main(task: str) -> None:
    params = load()
    entry, where = params.tasks[task], f"params.yaml: tasks.{task}"
    family = tasks.family(entry.family, f"{where}.family")
    corpus = params.corpora[entry.corpus] if entry.corpus else None
    stream = family.examples(params.split, corpus, where, **options_of(family.examples, entry, where))
    parts = divide(stream, params.split, where)
    for name, examples in parts.items():
        ids, groups = [example.id for example in examples], [example.group for example in examples]
        columns = {column: [example.inputs[column] for example in examples] for column in examples[0].inputs}
        schema, truth = files.strings("id", *columns, "group"), [example.answer for example in examples]
        files.write(files.inputs(task, name), schema, {"id": ids, **columns, "group": groups})
        if isinstance(truth[0], str):
            files.write(files.truth(task, name), files.ANSWERS, {"id": ids, "answer": truth})
        else:
            files.write(files.truth(task, name), files.LABELS, {"id": ids, "p": [float(true) for true in truth]})
    texts = unlabelled(stream, parts["student"])
    ids = [digest(text) for text in texts]
    files.write(files.texts(task), files.strings("id", "text"), {"id": ids, "text": texts})
    counts = {name: len(examples) for name, examples in parts.items()}
    files.write_json(files.source(task), stream.source | {"examples": counts})


def unlabelled(stream: Stream, students: list[Example]) -> list[str]:
    """Distinct texts without labels: two for each of the student's examples, or the texts that these show."""
    shown = (text for example in students for text in example.inputs.values())
    return list(dict.fromkeys(shown if stream.texts is None else islice(stream.texts, 2 * len(students))))


if __name__ == "__main__":
    run(main)
