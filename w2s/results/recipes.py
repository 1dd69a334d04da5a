"""Methods by what they contain: code that compares methods finds them here, and never by the names users give them.

The *baseline* is the recipe without parts (the paper's naive finetuning), which all others are compared with.
"""

from collections.abc import Mapping

from w2s.core.params import Method

DEFAULT_LOSS = "cross_entropy"
Methods = Mapping[str, Method]  # of one block, by name, in the grid's order


def baseline(methods: Methods) -> str | None:
    """The first method without parts and without overrides of `finetune`; None if there is none."""
    return next((name for name, method in methods.items() if not method.finetune and not _parts(method)), None)


def only(methods: Methods, part: str, loss: str = "") -> list[str]:
    """The methods that differ from the baseline by one part alone; `loss` further narrows the part "loss".

    The part's own options do not matter: recipes of other strength all qualify.
    """
    wanted = {part: loss} if loss else {part: ""}
    return [name for name, method in methods.items() if not method.finetune and _parts(method) == wanted]


def _parts(method: Method) -> dict[str, str]:
    """Names of a method's parts; that of a loss other than the default with the loss's name."""
    present = {
        "bootstrap": method.via,
        "rounds": method.rounds > 1,
        "generative": method.texts,
        "clean": method.clean,
        "harden": method.labels == "hard",
        "probe_first": method.probe,
        "early_stopping": method.stop,
        "few_shot": method.shots,
    }
    loss = {"loss": method.loss} if method.loss != DEFAULT_LOSS else {}
    return {name: "" for name, found in present.items() if found} | loss
