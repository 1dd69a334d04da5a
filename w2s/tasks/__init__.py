"""One file a task family, found by its name.

A family is a module here with

- `examples(split, corpus, **options) -> Iterator[Example]`: an endless or finite stream of distinct examples, drawn by
  `split.seed`; its keyword-only parameters are the task's options in params.yaml;
- for families with an embedded ladder also `vocabulary(corpus) -> list[str]` and `documents(corpus) -> Iterator[str]`.
"""

import importlib
import pkgutil
from dataclasses import dataclass
from types import ModuleType

from w2s.errors import unknown


@dataclass(frozen=True, slots=True)
class Example:
    """One question with its true answer; examples with the same `group` share a source and stay in one part."""

    id: str
    text: str
    group: str
    true: bool


def family(name: str, where: str) -> ModuleType:
    """The module of a task family; `where` names the parameter that asked for it."""
    known = [module.name for module in pkgutil.iter_modules(__path__)]
    if name not in known:
        raise unknown(where, name, known)
    return importlib.import_module(f"{__name__}.{name}")
