"""What a student minimises: one file a loss, its function named as the file.

Each function takes a batch's `logits` z [batch] with f = P(true) = σ(z), the weak `labels` in [0, 1] [batch], and
`progress`, the fraction of training done; it returns the mean loss. Keyword-only parameters are the recipe's options
in params.yaml, their annotations the allowed ranges. A setting whose answers are no probabilities has its own.
"""

from functools import partial

from w2s.params import Method, options_of
from w2s.registry import chosen
from w2s.settings import Loss, Reader


def loss_of(method: Method, kind: type[Reader], where: str) -> Loss:
    """The recipe's loss with its options bound; `where` is the recipe's place in params.yaml, for errors.

    A setting with losses of its own has refused all others before.
    """
    if kind.LOSSES is not None:
        function = kind.LOSSES[method.loss]
    else:
        function = getattr(chosen("w2s.losses", method.loss, f"{where}.loss"), method.loss)
    return partial(function, **options_of(function, method, where))
