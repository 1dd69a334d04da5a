"""Easy to hard: models learn the easy examples of another task and are tested on its hard ones.

Supervisor, student and validation parts are drawn with the options `easy`, the test part with `hard`. The ceiling of
such a task is easy-to-hard generalization itself: a strong model that learned the truth of easy examples only.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import zip_longest
from typing import Any, Literal

from w2s.core.params import Corpus, Split
from w2s.core.validation import Open, options_of
from w2s.data.questions import Example, Origin
from w2s.data.tasks import Stream, lichess, reviews

FAMILIES = {"lichess": lichess, "reviews": reviews}


def examples(
    split: Split,
    corpus: Corpus | None,
    seed: int,
    param_path: str,
    *,
    of: Literal["lichess", "reviews"],
    shared: dict[str, Any] | None = None,
    easy: dict[str, Any],
    hard: dict[str, Any],
) -> Stream:
    """Hard examples to be tested on and easy ones to be learned, by turns; `shared` are options that both have."""
    draw = FAMILIES[of].examples
    streams = {}
    for name, options in (("hard", hard), ("easy", easy)):
        own_path = f"{param_path}.{name}"
        entry = Open.model_validate({**(shared or {}), **options})
        streams[name] = draw(split, corpus, seed, own_path, **options_of(draw, entry, own_path))
    source = {name: stream.source for name, stream in streams.items()}
    return Stream(source, _by_turns(streams["hard"], streams["easy"]))


def _by_turns(hard: Stream, easy: Stream) -> Iterator[Example]:
    for tested, learned in zip_longest(hard, easy):
        if tested:
            yield replace(tested, origin=Origin.TEST)
        if learned:
            yield replace(learned, origin=Origin.TRAIN)
