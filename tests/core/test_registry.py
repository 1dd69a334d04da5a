"""What may be chosen from a package, and the class that a module stands for."""

import sys
from pathlib import Path

import pytest

from w2s.core.errors import UserError
from w2s.core.registry import chosen, member, names

FILES = {
    "__init__.py": 'SHARED = ("base",)\n',
    "base.py": "class Base: ...\n",
    "_hidden.py": "",
    "one.py": "from plugins.base import Base\n\n\nclass One(Base): ...\n",
    "two.py": "from plugins.one import One\n\n\nclass Two(One): ...\n\n\nclass Other: ...\n",
    "none.py": "from plugins.one import One\n",
    "many.py": "from plugins.base import Base\n\n\nclass A(Base): ...\n\n\nclass B(Base): ...\n",
    "broken.py": "raise AssertionError\n",
}


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type:
    """The base class of a package of plugins."""
    for name, text in FILES.items():
        (tmp_path / "plugins").mkdir(exist_ok=True)
        (tmp_path / "plugins" / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "plugins"]:
        monkeypatch.delitem(sys.modules, name)
    import plugins.base

    return plugins.base.Base


def test_hidden_and_shared_modules_cannot_be_chosen(base: type) -> None:
    assert names("plugins") == ["broken", "many", "none", "one", "two"]  # without importing any
    for name in ("base", "_hidden", "three"):
        with pytest.raises(UserError, match=rf"^here: unknown name '{name}' \(known: broken, many, none, one, two\)"):
            chosen("plugins", name, "here")


def test_a_module_stands_for_the_class_that_it_defines(base: type) -> None:
    assert member(chosen("plugins", "one", "here"), base).__name__ == "One"
    assert member(chosen("plugins", "two", "here"), base).__name__ == "Two"


@pytest.mark.parametrize(("name", "found"), [("none", "none"), ("many", "A, B")])
def test_none_or_several_are_a_fault_of_ours(base: type, name: str, found: str) -> None:
    with pytest.raises(TypeError, match=rf"one subclass of Base \(found {found}\)"):
        member(chosen("plugins", name, "here"), base)
