"""The generated languages that embedded ladders are pretrained on: one file each, found by its name.

A language is a module here with `vocabulary(corpus, seed) -> list[str]` and `documents(corpus, seed, **options) ->
Iterator[str]`: text in words; each seed draws another language. Keyword-only parameters of `documents` are the options
of a corpus in params.yaml; none has a default but None.

The languages `endgames` and `reviews` belong together with the tasks of the same names in `w2s.data.tasks`: there
questions are asked in the language that is written here.
"""

from types import ModuleType

from w2s.core.registry import chosen


def language(name: str, param_path: str) -> ModuleType:
    """The module of a language; `param_path` names the parameter that asked for it."""
    return chosen("w2s.data.corpora", name, param_path)
