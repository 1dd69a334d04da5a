"""How students are trained. A method is a list of parts; each part is one file here, named in params.yaml.

The parts of a method are nested around one training: `train` gives the job to the first part, that part gives it on to
the next, and the innermost finetunes. A method without parts and without hyperparameters of its own is naive
finetuning, which all others are compared with. Nothing is imported here that needs torch.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from w2s.core.params import Method
from w2s.core.registry import chosen, member
from w2s.core.validation import validate
from w2s.methods.part import Part
from w2s.training.passes import Pass, Plan, training

if TYPE_CHECKING:
    from w2s.training.job import Job

SHARED = ("compatibility", "losses", "part")  # modules here that are no part


def parts_of(method: Method, param_path: str = "params.yaml: methods") -> tuple[Part, ...]:
    """A method's parts in the order in which they act; raises `UserError` for an unknown part or option."""
    parts = []
    for name, options in method.parts.items():
        schema: type[Part] = member(chosen("w2s.methods", name, param_path), Part)
        parts.append(validate(schema, options, f"{param_path}.{name}"))
    return tuple(sorted(parts, key=lambda part: (part.phase, part.name)))


def as_ceiling(method: Method) -> Method:
    """The method by which a ceiling is trained: the parts that mean something when labels are the truth."""
    meant = {part.name for part in parts_of(method) if part.on_truth}
    kept = {name: options for name, options in method.parts.items() if name in meant}
    return Method(finetune=method.finetune, **kept)


def is_naive(method: Method) -> bool:
    """Whether a method is the one that all others are compared with: no parts, no hyperparameters of its own."""
    return not method.parts and not method.finetune


def modules(method: Method, on_truth: bool) -> list[str]:
    """The modules of a method's parts, and of what they choose by name: the code that its students depend on.

    With `on_truth`, that its ceilings depend on.
    """
    parts = parts_of(as_ceiling(method) if on_truth else method)
    return [name for part in parts for name in part.modules()]


def describe(method: Method) -> str:
    """A method as the rest of a sentence that begins with its name."""
    clauses = [part.describe() for part in parts_of(method)]
    tune = method.finetune.get("tune")
    if tune is not None:
        learns = {"head": "the linear head alone, on frozen features", "lora": "low-rank adapters and the head alone"}
        clauses.append(f"trains {learns.get(tune, 'all weights')}")
    if not clauses:
        clauses.append("finetunes the strong model on the weak labels as they are (paper, section 4.2)")
    others = [f"{key} {value}" for key, value in method.finetune.items() if key != "tune"]
    ending = f"; with {', '.join(others)}" if others else ""
    return "; ".join(clauses) + ending + "."


def train(job: "Job", parts: Sequence[Part]) -> Any:
    """Train as the parts say; returns the trained model, and writes to `job.out` what `finetune` writes."""
    if parts:
        first, *rest = parts
        return first.apply(job, partial(train, parts=rest))
    from w2s.training.finetune import finetune  # heavy: torch

    return finetune(job)


def passes(plan: Plan, parts: Sequence[Part]) -> Iterator[Pass]:
    """What such a training passes through models; the student's own training comes last."""
    rest: Callable[[Plan], Iterator[Pass]] = training
    for part in reversed(parts):
        rest = partial(part.passes, train=rest)
    return rest(plan)
