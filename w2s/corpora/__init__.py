"""The generated languages that embedded ladders are pretrained on: one file each, found by its name.

A language is a module here with `vocabulary(corpus) -> list[str]` and `documents(corpus, **options) -> Iterator[str]`:
text in words. Keyword-only parameters of `documents` are the options of a corpus in params.yaml.
"""

import importlib
import pkgutil
from types import ModuleType

from w2s.errors import unknown


def language(name: str, where: str) -> ModuleType:
    """The module of a language; `where` names the parameter that asked for it."""
    known = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    if name not in known:
        raise unknown(where, name, known)
    return importlib.import_module(f"{__name__}.{name}")
