"""Easy to hard: models learn the easy examples of another task and are tested on its hard ones.

Supervisor, student and validation parts are drawn with the options `learned`, the test part with `tested`. The ceiling
of such a task is easy-to-hard generalization itself: a strong model that learned the truth of easy examples only.
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
    learned: dict[str, Any],
    tested: dict[str, Any],
) -> Stream:
    """Hard examples to be tested on and easy ones to be learned, by turns; `shared` are options that both have."""
    draw = FAMILIES[of].examples
    streams = {}
    for name, options in (("tested", tested), ("learned", learned)):
        own_path = f"{param_path}.{name}"
        entry = Open.model_validate({**(shared or {}), **options})
        streams[name] = draw(split, corpus, seed, own_path, **options_of(draw, entry, own_path))
    source = {name: stream.source for name, stream in streams.items()}
    return Stream(source, _by_turns(streams["tested"], streams["learned"]))


def _by_turns(tested: Stream, learned: Stream) -> Iterator[Example]:
    for hard, easy in zip_longest(tested, learned):
        if hard:
            yield replace(hard, origin=Origin.TEST)
        if easy:
            yield replace(easy, origin=Origin.TRAIN)
