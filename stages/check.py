"""Check the experiment before anything is computed: names, ranges, and every option of what the grid uses.

Its output never changes, so passing again re-runs nothing; every other stage is downstream of it.
"""

import itertools
from pathlib import Path

from w2s import records, simulated, tasks
from w2s.corpora import language
from w2s.methods import loss_of
from w2s.models import memory
from w2s.params import Hub, load, options_of
from w2s.settings import setting as kind_of
from w2s.stage import run


def main() -> None:
    params = load()
    for name, corpus in params.corpora.items():
        where = f"params.yaml: corpora.{name}"
        options_of(language(corpus.family, f"{where}.family").documents, corpus, where)
    for setting, block in params.grid.blocks.items():
        kind = kind_of(setting, "params.yaml: setting")
        for task in block.tasks:
            entry, where = params.tasks[task], f"params.yaml: tasks.{task}"
            options_of(tasks.family(entry.family, f"{where}.family").examples, entry, where)
        pairs = list(itertools.product(block.weak, block.strong))
        for task, method in itertools.product(block.tasks, block.methods):
            recipe = params.methods[method]
            passed = [rung for weak, strong in pairs for rung in params.grid.passed(recipe, weak, strong)]
            for model in dict.fromkeys([*passed, *block.strong]):
                kind.refuse(method, recipe, params.finetune_for(task, model, recipe))
            for model in dict.fromkeys([*block.weak, *passed, *block.strong]):
                settings, base = params.finetune_for(task, model), params.models[model]
                if isinstance(base, Hub):
                    needed = memory.states(base.parameters, 0, settings)
                    memory.require(needed, settings, f"params.yaml: models.{model}")
        for method in block.methods:
            loss_of(params.methods[method], kind, f"params.yaml: methods.{method}")
    simulated.known(params.grid.simulated.weak, "params.yaml: grid.simulated.weak")
    with records.atomic(Path("data/checked")) as temporary:
        temporary.write_text("params.yaml is sound\n")


if __name__ == "__main__":
    run(main)
