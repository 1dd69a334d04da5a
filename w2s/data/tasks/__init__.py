"""One file a task family, found by its name.

A family is a module here with

- `examples(split, corpus, seed, param_path, **options) -> Stream`: distinct examples, endless or finite, drawn by
  `seed`; `param_path` names the task in params.yaml for errors. Keyword-only parameters are the task's options in
  params.yaml. None has a default but None, for "not applicable": what a result depends on stands in params.yaml.

A data set of the Hugging Face hub is one function, which turns a row into questions (`w2s.data.questions`), and one
line: `examples = hub_examples(questions)` (`w2s.data.reading`).

Two families are generated here, each from the language of the same name in `w2s.data.corpora`: `corpora/endgames` and
`corpora/reviews` write the text of pretraining, `tasks/endgames` and `tasks/reviews` ask questions in that language.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from w2s.core.registry import chosen
from w2s.data.questions import Example


@dataclass(frozen=True)
class Stream:
    """A task's examples, those of test files first, and their source, as stage prepare writes it to source.json.

    `unlabelled`, where a task has its own, are texts of its domain without labels, for generative finetuning before a
    model sees any label (paper, section 5.2.2). Without, the texts of the student's own inputs serve.
    """

    source: dict[str, Any]
    examples: Iterable[Example]
    unlabelled: Iterable[str] | None = None

    def __iter__(self) -> Iterator[Example]:
        return iter(self.examples)


def family(name: str, param_path: str) -> ModuleType:
    """The module of a task family; `param_path` names the parameter that asked for it."""
    return chosen("w2s.data.tasks", name, param_path)
