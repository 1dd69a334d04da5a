"""The generated languages that embedded ladders are pretrained on: one file each, found by its name.

A language is a module here with `vocabulary(corpus) -> list[str]` and `documents(corpus, **options) -> Iterator[str]`:
text in words. Keyword-only parameters of `documents` are the options of a corpus in params.yaml.
"""

from types import ModuleType

from w2s.core.registry import chosen


def language(name: str, where: str) -> ModuleType:
    """The module of a language; `where` names the parameter that asked for it."""
    return chosen("w2s.data.corpora", name, where)
