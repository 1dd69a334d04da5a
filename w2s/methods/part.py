"""What a part of a method is: one file in this folder with one class, whose fields are its options in params.yaml.

A part may act on everything that is known of a training (`Job`) and on the training itself, which it is given as a
function: it may change the job before, train other models first, or not train at all. The parts of a method are nested
in the order of their phases, the first outermost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar

from w2s.core.params import Block, Finetune, Params
from w2s.core.validation import Strict
from w2s.training.passes import Pass, Plan

if TYPE_CHECKING:
    from w2s.settings.base import Setting
    from w2s.training.job import Job

Train = Callable[["Job"], Any]  # the rest of the method; returns the trained model (`w2s.models.heads.Head`)
Passes = Callable[[Plan], Iterator[Pass]]  # the same in numbers


class Phase(IntEnum):
    """When a part acts: parts of an earlier phase see a job first."""

    CHAIN = 0  # which models learn one after another
    START = 1  # from which weights
    LABELS = 2  # from which examples and labels
    LOSS = 3  # what is minimised
    HEAD = 4  # from which head
    END = 5  # with which weights training ends


@dataclass(frozen=True)
class Use:
    """One use of a method in a grid, to be checked: which student learns which task from which supervisor."""

    params: Params
    block: Block
    setting: type[Setting]
    task: str
    weak: str
    strong: str
    method: str
    hparams: Finetune  # of the student
    parts: frozenset[str]  # names of all parts of the method


class Part(Strict):
    """An ingredient of a method; options are its fields, and their descriptions the manual."""

    phase: ClassVar[Phase]
    # Does it mean anything when labels are the truth? Then a ceiling by the method has it, too.
    on_truth: ClassVar[bool]
    # Does the method train anything?
    trains: ClassVar[bool] = True
    # Does it need a base model that writes text, which an encoder does not?
    needs_language_model: ClassVar[bool] = False

    @property
    def name(self) -> str:
        """Its name in params.yaml: that of its file."""
        return type(self).__module__.rpartition(".")[2]

    def modules(self) -> list[str]:
        """The modules whose code decides what it does: its own, and any that it chooses by name."""
        return [type(self).__module__]

    def check(self, use: Use) -> None:
        """Raise `ValueError` with the reason where the part has no meaning; nothing has been computed yet."""

    def base_models(self, params: Params, weak: str, strong: str) -> list[str]:
        """The base models it trains beside the student's own."""
        return []

    def describe(self) -> str:
        """What it does, as a clause of the report whose subject is the method."""
        raise NotImplementedError

    def apply(self, job: Job, train: Train) -> Any:
        """Do it: call `train` with this job or a changed one, and return the model that comes out."""
        raise NotImplementedError

    def passes(self, plan: Plan, train: Passes) -> Iterator[Pass]:
        """The same in numbers, from which the method's cost follows."""
        yield from train(plan)
