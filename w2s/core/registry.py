"""Modules that params.yaml chooses by name: the files of a package are what it may choose from."""

import importlib
import pkgutil
from types import ModuleType

from w2s.core.errors import unknown


def chosen(package: str, name: str, where: str) -> ModuleType:
    """The module `name` of a package; `where` is the parameter that asked for it. An `_underscore` hides a module."""
    modules = pkgutil.iter_modules(importlib.import_module(package).__path__)
    known = [module.name for module in modules if not module.name.startswith("_")]
    if name not in known:
        raise unknown(where, name, known)
    return importlib.import_module(f"{package}.{name}")
