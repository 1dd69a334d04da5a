"""Prepare a task: draw its examples and divide them, group by group, into supervisor, student, validation and test."""

from w2s import records, tasks
from w2s.params import load, options_of
from w2s.split import divide
from w2s.stage import run


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
        schema, truth = records.strings("id", *columns, "group"), [example.answer for example in examples]
        records.write(records.inputs(task, name), schema, {"id": ids, **columns, "group": groups})
        if isinstance(truth[0], str):
            records.write(records.truth(task, name), records.ANSWERS, {"id": ids, "answer": truth})
        else:
            records.write(records.truth(task, name), records.LABELS, {"id": ids, "p": [float(true) for true in truth]})
    counts = {name: len(examples) for name, examples in parts.items()}
    records.write_json(records.source(task), stream.source | {"examples": counts})


if __name__ == "__main__":
    run(main)
