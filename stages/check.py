"""Check the experiment before anything is computed: names, ranges, and every option of what the grid uses.

Its output never changes, so passing again re-runs nothing; every other stage is downstream of it.
"""

from pathlib import Path

from w2s.core import files
from w2s.core.checks import load
from w2s.core.grid import setting_blocks
from w2s.core.stage import run
from w2s.core.validation import options_of
from w2s.data import simulated, tasks
from w2s.data.corpora import language
from w2s.methods import compatibility


def main() -> None:
    params = load()
    for name, corpus in params.corpora.items():
        where = f"params.yaml: corpora.{name}"
        options_of(language(corpus.family, f"{where}.family").documents, corpus, where)
    for setting, block in setting_blocks(params.grid).items():
        for task in block.tasks:
            entry, where = params.tasks[task], f"params.yaml: tasks.{task}"
            options_of(tasks.family(entry.family, f"{where}.family").examples, entry, where)
        for method in block.methods:
            compatibility.require(params, setting, method)
    simulated.known(params.grid.simulated.weak, "params.yaml: grid.simulated.weak")
    with files.atomic(Path("data/checked")) as temporary:
        temporary.write_text("params.yaml is sound\n")


if __name__ == "__main__":
    run(main)
