"""Check the experiment before anything is computed: names, ranges, and every option of what the grid uses.

Its output never changes, so passing again re-runs nothing; every other stage is downstream of it.
"""

from pathlib import Path

from w2s import records, settings, tasks
from w2s.params import load, options_of
from w2s.stage import run
from w2s.training.methods import loss_of


def main() -> None:
    params = load()
    for name in params.grid.tasks:
        task, where = params.tasks[name], f"params.yaml: tasks.{name}"
        options_of(tasks.family(task.family, f"{where}.family").examples, task, where)
        settings.setting(task.setting, f"{where}.setting")
    for name, corpus in params.corpora.items():
        where = f"params.yaml: corpora.{name}"
        options_of(tasks.family(corpus.family, f"{where}.family").documents, corpus, where)
    for name in params.grid.methods:
        loss_of(params.methods[name], f"params.yaml: methods.{name}")
    with records.atomic(Path("data/checked")) as temporary:
        temporary.write_text("params.yaml is sound\n")


if __name__ == "__main__":
    run(main)
