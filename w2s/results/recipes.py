"""Methods by what they contain: code that compares methods finds them here, and never by the names users give them.

The *baseline* is naive finetuning, the method without parts, which all others are compared with.
"""

from collections.abc import Mapping

from w2s.core.params import Method
from w2s.methods import is_naive, parts_of

Methods = Mapping[str, Method]  # of one block, by name, in the grid's order


def baseline(methods: Methods) -> str | None:
    """The first method without parts and without hyperparameters of its own; None if there is none."""
    return next((name for name, method in methods.items() if is_naive(method)), None)


def only(methods: Methods, part: str, **options: object) -> list[str]:
    """The methods that differ from the baseline by this part alone, with these of its options.

    Other options do not matter: the confidence loss in two strengths is two methods that qualify.
    """
    return [name for name, method in methods.items() if _is_only(method, part, options)]


def _is_only(method: Method, name: str, options: Mapping[str, object]) -> bool:
    if method.finetune or list(method.parts) != [name]:
        return False
    (part,) = parts_of(method)
    return all(getattr(part, option) == value for option, value in options.items())
