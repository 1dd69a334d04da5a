"""From a recipe in params.yaml to the loss that trains a student; apart from the losses, which most stages share."""

from functools import partial

from w2s.core.params import Method
from w2s.core.registry import chosen
from w2s.core.validation import options_of
from w2s.settings import Loss, Reader


def loss_of(method: Method, kind: type[Reader], where: str) -> Loss:
    """The recipe's loss with its options bound; `where` is the recipe's place in params.yaml, for errors.

    A setting with losses of its own has refused all others before.
    """
    if kind.LOSSES is not None:
        function = kind.LOSSES[method.loss]
    else:
        function = getattr(chosen("w2s.methods.losses", method.loss, f"{where}.loss"), method.loss)
    return partial(function, **options_of(function, method, where))
