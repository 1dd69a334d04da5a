"""What of the source code can change a result: the files that a script imports, and a digest of each.

A digest is taken of a file's syntax tree, so that comments, docstrings and formatting do not touch it. Files that can
only refuse a value and never change one (`REFUSING`) are left out, with all that only they import: a stage that runs
at all has passed them, and what it computes then is decided by params.yaml, the other files and the data.
"""

import ast
import hashlib
import inspect
from collections.abc import Iterable
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

REFUSING = frozenset(
    {
        "w2s/core/params.py",
        "w2s/core/validation.py",
        "w2s/core/checks.py",
        "w2s/core/errors.py",
        "w2s/core/unchanged.py",
        "w2s/methods/compatibility.py",
        "w2s/models/answers.py",
    }
)
# Of these packages params.yaml chooses a module for each of its entries: the closure of an entry has that module only.
PER_ENTRY = frozenset({"w2s.data.tasks", "w2s.data.corpora", "w2s.settings", "w2s.methods", "w2s.methods.losses"})
DATA = "*.j2"  # files beside a module that it reads


class Sources:
    """The source files of a repository, each read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._parsed = cache(self._parse)
        self._imported = cache(self._imports)
        self._digested = cache(self._digest)

    def closure(self, *files: str) -> set[str]:
        """All that importing and running these files may import, and they themselves: paths relative to the root.

        Imports inside functions count; those for type checkers do not, nor what only `REFUSING` files import. A lookup
        by name (`registry.chosen`) may find any module of its package, and so all of them count, except where
        `PER_ENTRY` says that entries have closures of their own.
        """
        found: set[str] = set()
        waiting = list(files)
        while waiting:
            file = waiting.pop()
            if file in found or file in REFUSING:
                continue
            found.add(file)
            imported, packages = self._imported(file)
            waiting += imported
            for package in packages - PER_ENTRY:
                waiting += map(self._relative, self.root.joinpath(*package.split(".")).glob("*.py"))
        return found

    def module(self, name: str) -> set[str]:
        """The closure of a module by its dotted name. Raises `ModuleNotFoundError`."""
        files = self._files(name)
        place = name.replace(".", "/")
        if not {f"{place}.py", f"{place}/__init__.py"}.intersection(files):
            raise ModuleNotFoundError(f"no module {name} under {self.root}")
        return self.closure(*files)

    def digests(self, files: Iterable[str], quoted: Iterable[str] = ()) -> dict[str, str]:
        """The SHA-256 of each file, in the order of their names.

        In files whose path begins with one of `quoted`, the docstrings of functions are text of the report and count.
        """
        return {file: self._digested(file, file.startswith(tuple(quoted))) for file in sorted(files)}

    @staticmethod
    def essence(source: bytes) -> str:
        """What of a source text counts: all but comments, docstrings and formatting. Raises `SyntaxError`."""
        return repr(_essence(ast.parse(source), quoted=False))

    def _digest(self, file: str, quoted: bool) -> str:
        if file.endswith(".py"):
            content = repr(_essence(self._parsed(file), quoted)).encode()
        else:
            content = (self.root / file).read_bytes()
        return hashlib.sha256(content).hexdigest()

    def _parse(self, file: str) -> ast.Module:
        return ast.parse((self.root / file).read_text(encoding="utf-8"), file)

    def _imports(self, file: str) -> tuple[set[str], set[str]]:
        """The files that a file may import or read, and the packages that it looks modules up in."""
        if not file.endswith(".py"):
            return set(), set()
        modules, packages = _imported(self._parsed(file), ".".join(Path(file).parent.parts))
        beside = map(self._relative, (self.root / file).parent.glob(DATA))
        return {*beside, *(path for module in modules for path in self._files(module))}, packages

    def _files(self, module: str) -> list[str]:
        """The files that importing a dotted name runs: its packages' `__init__.py` and the module itself."""
        parts = module.split(".")
        candidates = [self.root.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
        candidates.append(self.root.joinpath(*parts).with_suffix(".py"))
        return [self._relative(path) for path in candidates if path.is_file()]

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def _imported(tree: ast.Module, package: str) -> tuple[set[str], set[str]]:
    """Dotted names that a module of `package` may import, and packages that it looks modules up in."""
    imported: set[str] = set()
    packages: set[str] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"), orelse=otherwise):
                waiting += otherwise
                continue
            case ast.Import(names=names):
                imported.update(alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                origin = resolve_name("." * level + (module or ""), package)
                imported.update([origin, *(f"{origin}.{alias.name}" for alias in names)])
            case ast.Call(
                func=ast.Name(id="chosen") | ast.Attribute(attr="chosen"), args=[ast.Constant(str(name)), *_]
            ):
                packages.add(name)
        waiting += ast.iter_child_nodes(node)
    return imported, packages


def _essence(node: object, quoted: bool) -> object:
    """A syntax tree in lists, without positions, docstrings (but functions' if `quoted`) and fields that are empty.

    `ast.dump` would not do: it writes the same tree otherwise in other versions of Python.
    """
    if isinstance(node, list):
        return [_essence(item, quoted) for item in node]
    if not isinstance(node, ast.AST):
        return node
    fields = {name: value for name, value in ast.iter_fields(node) if name not in ("kind", "type_comment")}
    docstring = None
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        text = ast.get_docstring(node, clean=False)
        if text is not None:
            fields["body"] = node.body[1:]
            if quoted and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                docstring = inspect.cleandoc(text)
    kept = [[name, _essence(value, quoted)] for name, value in fields.items() if value is not None and value != []]
    return [type(node).__name__, docstring, *kept]
