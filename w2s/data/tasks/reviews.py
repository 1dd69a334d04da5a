"""Reviews: is the author of a review in the generated language happy?

The task draws harder bodies with rarer words than the corpus of pretraining, and none that occurs in it.
"""

import random
from collections.abc import Iterator

from w2s.core.errors import UserError
from w2s.core.params import Corpus, Split
from w2s.data.corpora.reviews import CUE, Style, Writer, documents
from w2s.data.tasks import Example, Stream, digest

TASK = Style(
    kinds={"plain": 0.06, "neg": 0.08, "negm": 0.10, "con2": 0.16, "con3": 0.16}
    | {"ord2": 0.09, "ord3": 0.11, "said": 0.09, "said2": 0.15},
    zipf=0.3,
    opposed=0.9,
    opposed_in_lists=0.9,
    wrong=0.5,
)


def examples(split: Split, corpus: Corpus | None, where: str) -> Stream:
    """An endless stream of distinct bodies that do not occur in the corpus, each with the cue for a verdict."""
    if corpus is None:
        raise UserError(f"{where}.corpus is missing: reviews are written in a language of `corpora`")
    return Stream({"generated": "w2s/data/tasks/reviews.py", "corpus": corpus.model_dump()}, _examples(split, corpus))


def _examples(split: Split, corpus: Corpus) -> Iterator[Example]:
    for body, happy in bodies(corpus, random.Random(f"reviews/task/{corpus.seed}/{split.seed}")):
        key = digest(body)
        yield Example(key, {"text": body + CUE}, key, happy)


def bodies(corpus: Corpus, rng: random.Random) -> Iterator[tuple[str, bool]]:
    """Distinct bodies for a task, none of which occurs in the corpus, and whether their authors are happy."""
    seen = {document.rsplit(CUE, 1)[0] for document in documents(corpus)}
    writer = Writer(corpus.seed, TASK, rng)
    while True:
        body, happy = writer.body()
        if body not in seen:
            seen.add(body)
            yield body, happy
