"""Another loss than cross-entropy: one of the functions in `w2s/methods/losses`, one file each."""

import ast
import importlib.util
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ConfigDict, Field

from w2s.core.params import Name
from w2s.core.registry import chosen
from w2s.core.validation import Open, options_of
from w2s.methods.part import Part, Phase, Train, Use

if TYPE_CHECKING:
    from w2s.training.job import Job


class Loss(Open, Part):
    """Minimise `function`; the remaining keys are its options, declared by its own keyword-only parameters."""

    model_config = ConfigDict(extra="allow")

    function: Name = Field(description="a file in w2s/methods/losses")
    phase: ClassVar[Phase] = Phase.LOSS
    on_truth: ClassVar[bool] = False

    def check(self, use: Use) -> None:
        if not use.setting.PROBABILITIES:
            raise ValueError(
                f"'{self.function}' asks how sure a model is of a yes or no, which an answer in words does not tell; "
                "generation has cross-entropy alone, which needs no loss"
            )
        self.bound(f"params.yaml: methods.{use.method}.loss")

    def bound(self, param_path: str) -> Callable[..., Any]:
        """The loss with its options; raises `UserError` for an unknown loss, or an option out of its range."""
        function = getattr(chosen("w2s.methods.losses", self.function, f"{param_path}.function"), self.function)
        return partial(function, **options_of(function, self, param_path))

    def modules(self) -> list[str]:
        return [*super().modules(), f"w2s.methods.losses.{self.function}"]

    def describe(self) -> str:
        """The first paragraph of the function's docstring, read without importing it, since losses import torch."""
        spec = importlib.util.find_spec(f"w2s.methods.losses.{self.function}")
        assert spec
        assert spec.origin
        module = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
        functions = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == self.function]
        words = " ".join((ast.get_docstring(functions[0]) or self.function).split("\n\n")[0].split())
        return f"minimises {words[:1].lower()}{words[1:].removesuffix('.')}"

    def apply(self, job: "Job", train: Train) -> Any:
        return train(replace(job, loss=self.bound(f"params.yaml: methods.{job.setting.method}.loss")))
