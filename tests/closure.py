"""Which repository files a script imports, read from the source without running it."""

import ast
import re
from pathlib import Path

CHOSEN = re.compile(r'chosen\("([\w.]+)"')  # a lookup by name in a package: may be any of its modules


def import_closure(script: Path, root: Path) -> set[str]:
    """Repository files that `script` imports, directly or through others, itself among them; `root` is the repository.

    Imports inside functions count, and so does all that a lookup by name may choose from. Paths are relative to `root`.
    """
    found: set[Path] = set()
    waiting = _files(".".join(script.relative_to(root).with_suffix("").parts), root)
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        text = path.read_text()
        for package in CHOSEN.findall(text):
            waiting += root.joinpath(*package.split(".")).glob("*.py")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            else:
                continue
            for name in names:
                waiting += _files(name, root)
    return {str(path.relative_to(root)) for path in found}


def _files(module: str, root: Path) -> list[Path]:
    """The files that importing a dotted name runs: its packages' `__init__.py` and the module itself."""
    parts = module.split(".")
    candidates = [root.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    candidates.append(root.joinpath(*parts).with_suffix(".py"))
    return [path for path in candidates if path.is_file()]
