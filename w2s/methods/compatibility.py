"""Does what the grid asks for have a meaning? What has none is refused by name before anything is trained."""

from itertools import pairwise, product

from w2s.core.errors import UserError
from w2s.core.grid import intermediate_models, setting_blocks
from w2s.core.hparams import hparams_for
from w2s.core.params import Embedded, Method, Model, Params
from w2s.methods import loss_of
from w2s.models import memory
from w2s.settings import setting as kind_of


def require(params: Params, setting: str, name: str) -> None:
    """Raise `UserError` where a method of the setting's block makes no sense for its tasks and models."""
    method, block = params.methods[name], setting_blocks(params.grid)[setting]
    where, kind = f"params.yaml: methods.{name}", kind_of(setting, "params.yaml: setting")
    pairs = product(block.weak, block.strong)
    ways = [[weak, *intermediate_models(params.grid, method, weak, strong), strong] for weak, strong in pairs]
    supervisors = [(weak, Method()) for weak in block.weak]
    students = [(model, method) for model in dict.fromkeys(model for _, *taught in ways for model in taught)]
    for task, (model, recipe) in product(block.tasks, [*supervisors, *students]):
        entry, settings = params.models[model], hparams_for(params, task, model, recipe)
        kind.refuse(name, recipe, settings)
        if isinstance(entry, Embedded):
            _read(f"params.yaml: grid.{setting}: '{model}'", entry.corpus, task, params.tasks[task].corpus)
        elif not recipe.shots:  # which train nothing
            memory.require(memory.states(entry.parameters, 0, settings), settings, f"params.yaml: models.{model}")
        if recipe.stop and settings.snapshots < 2:
            raise UserError(f"{where}.stop: needs finetune.snapshots of 2 or more to choose from (found 1)")
    for way in ways if method.via else []:
        for one, other in pairwise(dict.fromkeys(way)):
            if _size(params.models[one]) >= _size(params.models[other]):
                said = f"the way {' → '.join(way)} must rise in size, but {other} is no larger than {one}"
                raise UserError(f"{where}.via: {said}")
    loss_of(method, kind, where)


def _read(where: str, known: str, task: str, corpus: str | None) -> None:
    """Raise `UserError` for an embedded model and a task in words that its tokenizer does not have."""
    if known != corpus:
        other = f"is written in those of '{corpus}'" if corpus else "is not written in them; take models of the hub"
        raise UserError(f"{where} knows the words of corpus '{known}' only, and task '{task}' {other}")


def _size(model: Model) -> int:
    """Weights, to be compared; of an embedded model, those of its blocks."""
    return 8 * model.layers * model.hidden**2 if isinstance(model, Embedded) else model.parameters
