"""No code knows a method by its name: methods are told apart by what they contain."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from w2s.core.checks import load
from w2s.core.registry import names

ROOT = Path(__file__).parents[2]
CODE = [*sorted((ROOT / "w2s").rglob("*.py")), *sorted((ROOT / "stages").glob("*.py"))]
METHODS = frozenset(load(ROOT / "params.yaml").methods)
# Parts and losses may be asked for; a method that is called as its part is not meant by that.
CONTENTS = frozenset(names("w2s.methods")) | frozenset(names("w2s.methods.losses"))


def named_methods(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Where code names a method: its line, and the name.

    Names that belong to a method alone count anywhere; those of parts and losses too, where they are compared with a
    value, or looked up among methods.
    """
    for node in ast.walk(tree):
        constants: list[ast.AST] = []
        allowed = CONTENTS
        match node:
            case ast.Constant():
                constants = [node]
            case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq()], comparators=[right]):
                constants = [left, right]
                allowed = frozenset()
            case ast.Compare(
                left=left, ops=[ast.In() | ast.NotIn()], comparators=[ast.Tuple() | ast.List() | ast.Set() as all_]
            ):
                constants = [*all_.elts]
                allowed = frozenset()
            case ast.Subscript(value=ast.Name(id="methods") | ast.Attribute(attr="methods"), slice=key):
                constants = [key]
                allowed = frozenset()
        for constant in constants:
            if isinstance(constant, ast.Constant) and constant.value in METHODS - allowed:
                yield constant.lineno, constant.value


def test_no_code_knows_a_methods_name() -> None:
    found = {str(file.relative_to(ROOT)): [*named_methods(ast.parse(file.read_text("utf-8")))] for file in CODE}
    assert {file: names for file, names in found.items() if names} == {}


@pytest.mark.parametrize(
    "line",
    [
        'method == "confidence"',
        '"naive" != method',
        'method in ("bootstrap", "mine")',
        'params.methods["rounds"]',
        'baseline = "naive"',
        'values(tasks, "few-shot")',
    ],
)
def test_a_name_is_found(line: str) -> None:
    assert list(named_methods(ast.parse(line)))


@pytest.mark.parametrize(
    "line", ['"bootstrap" in method.parts', 'only("generative")', 'row["confidence"]', '"over_naive"']
)
def test_parts_losses_and_columns_are_no_methods(line: str) -> None:
    assert not list(named_methods(ast.parse(line)))
