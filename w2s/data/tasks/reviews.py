"""Reviews: is the author of a review in the generated language happy?

The task belongs to the language in `w2s/data/corpora/reviews.py`. It draws harder bodies with rarer words than the
corpus of pretraining, and none that occurs in it.
"""

import random
from collections.abc import Iterator

from w2s.core.errors import UserError
from w2s.core.params import Corpus, Split
from w2s.data.corpora.reviews import CUE, Style, Writer, documents
from w2s.data.questions import Example, digest
from w2s.data.tasks import Stream

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


def examples(split: Split, corpus: Corpus | None, param_path: str) -> Stream:
    """An endless stream of distinct bodies that do not occur in the corpus, each with the cue for a verdict."""
    if corpus is None:
        raise UserError(f"{param_path}.corpus is missing: reviews are written in a language of `corpora`")
    source = {"generated": "w2s/data/tasks/reviews.py", "corpus": corpus.model_dump()}
    return Stream(source, _examples(split, corpus))


def _examples(split: Split, corpus: Corpus) -> Iterator[Example]:
    for body, happy in bodies(corpus, random.Random(f"reviews/task/{corpus.seed}/{split.seed}")):
        key = digest(body)
        yield Example({"text": body + CUE}, happy, group=key, id=key)


def bodies(corpus: Corpus, rng: random.Random) -> Iterator[tuple[str, bool]]:
    """Distinct bodies for a task, none of which occurs in the corpus, and whether their authors are happy."""
    seen = {document.rsplit(CUE, 1)[0] for document in documents(corpus)}
    writer = Writer(corpus.seed, TASK, rng)
    while True:
        body, happy = writer.body()
        if body not in seen:
            seen.add(body)
            yield body, happy
