"""Does what the grid asks for have a meaning? What has none is refused by name before anything is computed.

Values are refused by their fields in `w2s.core.params`, names by `w2s.core.checks`; combinations by the `check` of a
part or a setting, which is called from here, and by the models' tokenizers and this machine's memory.
"""

from itertools import product

from w2s.core.errors import UserError
from w2s.core.grid import setting_blocks
from w2s.core.hparams import hparams_for
from w2s.core.params import Block, Embedded, Method, Params
from w2s.core.validation import options_of
from w2s.data import simulated
from w2s.data import tasks as families
from w2s.data.corpora import language
from w2s.methods import as_ceiling, parts_of
from w2s.methods.part import Part, Use
from w2s.models import memory
from w2s.settings import setting_class
from w2s.settings.base import Setting


def require_all(params: Params) -> None:
    """Raise `UserError` for anything in the grid that makes no sense, or an option that is unknown or out of range."""
    for name, corpus in params.corpora.items():
        param_path = f"params.yaml: corpora.{name}"
        options_of(language(corpus.family, f"{param_path}.family").documents, corpus, param_path)
    for setting, block in setting_blocks(params.grid).items():
        for task in block.tasks:
            entry = params.tasks[task]
            param_path = f"params.yaml: tasks.{task}"
            options_of(families.family(entry.family, f"{param_path}.family").examples, entry, param_path)
        for method in block.methods:
            require(params, setting, method)
        require_distinct_ceilings(params, setting, block)
        kind = setting_class(setting, "params.yaml: setting")
        param_path = f"params.yaml: grid.{setting}.simulated"
        simulated.require(block.simulated, params.split.student, kind.PROBABILITIES, param_path)


def require(params: Params, setting: str, name: str) -> None:
    """Raise `UserError` where a method of the setting's block makes no sense for its tasks and models."""
    block = setting_blocks(params.grid)[setting]
    method = params.methods[name]
    param_path = f"params.yaml: methods.{name}"
    parts = parts_of(method, param_path)
    kind = setting_class(setting, "params.yaml: setting")
    for task, weak, strong in _cells(block, name):
        models = [*(model for part in parts for model in part.base_models(params, weak, strong)), strong]
        _require_model(params, setting, task, weak, Method(), kind, trains=True)
        for model in models:
            _require_model(params, setting, task, model, method, kind, trains=all(part.trains for part in parts))
        use = Use(
            params=params,
            block=block,
            setting=kind,
            task=task,
            weak=weak,
            strong=strong,
            method=name,
            hparams=hparams_for(params, task, strong, method),
            parts=frozenset(part.name for part in parts),
        )
        for part in parts:
            _require_part(part, use, param_path)


def require_distinct_ceilings(params: Params, setting: str, block: Block) -> None:
    """Raise `UserError` for a ceiling that would be trained as the first one is."""
    first, *others = block.ceilings
    for name in others:
        if as_ceiling(params.methods[name]) == as_ceiling(params.methods[first]):
            raise UserError(f"params.yaml: grid.{setting}.ceilings: '{name}' is the same as '{first}'")


def _cells(block: Block, method: str) -> list[tuple[str, str, str]]:
    """Task, supervisor and student of each use of a method; simulated supervisors among them."""
    simulated_weak = block.simulated.weak if method in block.simulated.methods else []
    return [*product(block.tasks, [*block.weak, *simulated_weak], block.strong)]


def _require_part(part: Part, use: Use, param_path: str) -> None:
    try:
        part.check(use)
    except ValueError as error:
        raise UserError(f"{param_path}.{part.name}: {error}") from None


def _require_model(
    params: Params, setting: str, task: str, model: str, method: Method, kind: type[Setting], *, trains: bool
) -> None:
    """Raise `UserError` where a model cannot read a task, or cannot be finetuned on it here."""
    if model not in params.models:  # a simulated supervisor
        return
    entry = params.models[model]
    hparams = hparams_for(params, task, model, method)
    kind.check(hparams)
    if isinstance(entry, Embedded):
        _require_words(f"params.yaml: grid.{setting}: '{model}'", entry.corpus, task, params.tasks[task].corpus)
    elif trains:
        memory.require(memory.states(entry.parameters, 0, hparams), hparams, f"params.yaml: models.{model}")


def _require_words(param_path: str, known: str, task: str, corpus: str | None) -> None:
    """Raise `UserError` for an embedded model and a task in words that its tokenizer does not have."""
    if known != corpus:
        other = f"is written in those of '{corpus}'" if corpus else "is not written in them; take models of the hub"
        raise UserError(f"{param_path} knows the words of corpus '{known}' only, and task '{task}' {other}")
