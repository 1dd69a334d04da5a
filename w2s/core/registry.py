"""Modules that params.yaml chooses by name: the files of a package are what it may choose from.

Two kinds of file cannot be chosen: those whose name begins with an underscore, and those that the package's `__init__`
lists as shared: `SHARED = ("base", "binary")`.
"""

import importlib
import pkgutil
from types import ModuleType
from typing import Any

from w2s.core.errors import unknown


def names(package: str) -> list[str]:
    """The modules that may be chosen from a package. Imports its `__init__`, and none of them."""
    imported = importlib.import_module(package)
    shared = getattr(imported, "SHARED", ())
    modules = (module.name for module in pkgutil.iter_modules(imported.__path__))
    return [name for name in modules if not name.startswith("_") and name not in shared]


def chosen(package: str, name: str, param_path: str) -> ModuleType:
    """The module `name` of a package; raises `UserError` that names `param_path`, the parameter that asked for it."""
    known = names(package)
    if name not in known:
        raise unknown(param_path, name, known)
    return importlib.import_module(f"{package}.{name}")


def member(module: ModuleType, base: Any) -> Any:
    """The one subclass of `base` that a module defines; those it imports do not count.

    Raises `TypeError` where it defines none or several: that is a fault of ours, not of the user's.
    """
    classes = [thing for thing in vars(module).values() if isinstance(thing, type) and issubclass(thing, base)]
    own = [cls for cls in classes if cls.__module__ == module.__name__ and cls is not base]
    if len(own) != 1:
        found = ", ".join(cls.__name__ for cls in own) or "none"
        raise TypeError(f"{module.__name__} must define one subclass of {base.__name__} (found {found})")
    return own[0]
