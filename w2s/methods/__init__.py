"""From a method in params.yaml to the loss that trains a student, and to the modules that do what it says."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from w2s.core.registry import chosen
from w2s.core.validation import options_of

if TYPE_CHECKING:
    from w2s.core.params import Method
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


def modules(method: Method, on_truth: bool) -> list[str]:
    """The modules of a method's parts and loss; `on_truth`: of those that mean something where labels are truth."""
    how = method.on_truth if on_truth else method
    parts = {"generative": how.texts, "clean": how.clean, "few_shot": how.shots}
    loss = "cross_entropy" if on_truth else method.loss
    return [f"w2s.methods.losses.{loss}", *(f"w2s.methods.{name}" for name, part in parts.items() if part)]
