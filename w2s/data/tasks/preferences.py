"""Preferences: which of two reviews, in the language of `reviews`, does a judge like better?

Judges like happy reviews, and do not always notice: of a happy and an unhappy one they choose the happy one with chance
`certainty` (0.88 is σ(2)), of two alike either. A share `alike` of the pairs is so, and an oracle agrees with judges in
`alike / 2 + (1 - alike) * certainty` of pairs. A share `easy` of the texts ends in the words that precede a verdict in
the corpus, the others in words that never do, where what a base model knows of verdicts is harder to reach.

Unlabelled texts say nothing of any judge's choice, and are of other reviews than any pair's: a share of all bodies is
set aside for them. But each ends in its own reviewer's verdict, which pairs hide.
"""

import random
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from w2s.core.errors import UserError
from w2s.core.params import Corpus, Fraction, Split
from w2s.data.corpora.reviews import CUE, VERDICTS
from w2s.data.tasks import Example, Pair, Stream, digest, reviews

HARD_CUE = " . they said"
UNLABELLED = 64  # bodies in 256


def examples(
    split: Split,
    corpus: Corpus | None,
    where: str,
    *,
    certainty: Fraction = 0.88,
    alike: Annotated[float, Field(ge=0, le=0.5)] = 0.2,
    easy: Fraction = 0.5,
) -> Stream:
    """Endless streams of pairs and of unlabelled texts; no body occurs twice, in both, or in the corpus."""
    if corpus is None:
        raise UserError(f"{where}.corpus is missing: preferences are about texts in a language of `corpora`")
    source = {"generated": "w2s/data/tasks/preferences.py", "corpus": corpus.model_dump()}
    return Stream(source, _examples(split, corpus, certainty, alike, easy), _texts(split, corpus, easy))


def _examples(split: Split, corpus: Corpus, certainty: float, alike: float, easy: float) -> Iterator[Example]:
    rng = random.Random(f"preferences/task/{corpus.seed}/{split.seed}")
    reviewed = (written for written in reviews.bodies(corpus, rng) if not _set_aside(written[0]))
    for (one, happy), (two, glad) in zip(reviewed, reviewed, strict=False):
        if happy == glad and rng.random() >= alike / (1 - alike):  # half of all pairs are alike
            continue
        first, second = (body + _cue(easy, rng) for body in (one, two))
        first_is_better = rng.random() < (0.5 if happy == glad else certainty if happy else 1 - certainty)
        key = digest("\n".join(sorted([first, second])))
        for item in Pair(*((first, second) if first_is_better else (second, first)), key).drawn(rng):
            yield Example(key, item.inputs, key, item.answer)


def _texts(split: Split, corpus: Corpus, easy: float) -> Iterator[str]:
    rng = random.Random(f"preferences/texts/{corpus.seed}/{split.seed}")
    for body, happy in reviews.bodies(corpus, rng):
        if _set_aside(body):
            yield f"{body}{_cue(easy, rng)} {VERDICTS[happy][rng.random() < 0.5]}"


def _cue(easy: float, rng: random.Random) -> str:
    return CUE if rng.random() < easy else HARD_CUE


def _set_aside(body: str) -> bool:
    """Whether a body is for unlabelled texts only."""
    return int(digest(body)[:2], 16) < UNLABELLED
