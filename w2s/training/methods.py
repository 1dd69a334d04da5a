"""From a recipe in params.yaml to the loss that trains a student."""

import importlib
import pkgutil
from functools import partial

from w2s.errors import unknown
from w2s.params import Method, options_of
from w2s.training import losses
from w2s.training.losses import Loss


def loss_of(method: Method, where: str) -> Loss:
    """The recipe's loss with its options bound; `where` is the recipe's place in params.yaml, for errors."""
    known = [module.name for module in pkgutil.iter_modules(losses.__path__)]
    if method.loss not in known:
        raise unknown(f"{where}.loss", method.loss, known)
    function = getattr(importlib.import_module(f"{losses.__name__}.{method.loss}"), method.loss)
    return partial(function, **options_of(function, method, where))
