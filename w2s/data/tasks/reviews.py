"""Reviews: is the author of a review in the generated language happy?

The task belongs to the language in `w2s/data/corpora/reviews.py`. It draws harder bodies with rarer words than the
corpus of pretraining, and none that occurs in it; `kinds` names the constructions that occur. It asks after the words
that precede hasty readers' verdicts in the corpus, not the author's.
"""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from w2s.core.errors import UserError
from w2s.core.params import Corpus, NonEmptyList, Split
from w2s.data.corpora.reviews import READER_CUE, Style, Writer, body_of, documents
from w2s.data.questions import Example, digest
from w2s.data.tasks import Stream

Kind = Literal[
    "plain",
    "negated",
    "partly_negated",
    "concession",
    "double_concession",
    "choice_of_two",
    "choice_of_three",
    "report",
    "nested_report",
]

TASK = Style(
    kinds={
        "plain": 0.06,
        "negated": 0.08,
        "partly_negated": 0.10,
        "concession": 0.16,
        "double_concession": 0.16,
        "choice_of_two": 0.09,
        "choice_of_three": 0.11,
        "report": 0.09,
        "nested_report": 0.15,
    },
    zipf=0.3,
    opposed=0.9,
    opposed_in_lists=0.9,
    wrong=0.5,
)


def examples(split: Split, corpus: Corpus | None, seed: int, param_path: str, *, kinds: NonEmptyList[Kind]) -> Stream:
    """An endless stream of distinct bodies that do not occur in the corpus, each with the cue for readers' verdicts."""
    if corpus is None:
        raise UserError(f"{param_path}.corpus is missing: reviews are written in a language of `corpora`")
    source = {"generated": "w2s/data/tasks/reviews.py", "corpus": corpus.model_dump(), "seed": seed}
    return Stream(source, _examples(corpus, seed, kinds))


def _examples(corpus: Corpus, seed: int, kinds: list[Kind]) -> Iterator[Example]:
    style = replace(TASK, kinds={kind: TASK.kinds[kind] for kind in kinds})
    rng = random.Random(f"reviews/task/{'+'.join(kinds)}/{seed}")
    for body, happy in bodies(corpus, seed, rng, style):
        key = digest(body)
        yield Example({"text": body + READER_CUE}, happy, group=key, id=key)


def bodies(corpus: Corpus, seed: int, rng: random.Random, style: Style = TASK) -> Iterator[tuple[str, bool]]:
    """Distinct bodies for a task, none of which occurs in the corpus, and whether their authors are happy."""
    seen = {body_of(document) for document in documents(corpus, seed)}
    writer = Writer(seed, style, rng)
    while True:
        body, happy = writer.body()
        if body not in seen:
            seen.add(body)
            yield body, happy
