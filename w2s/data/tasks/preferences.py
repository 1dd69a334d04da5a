"""Preferences: which of two reviews, in the language of `w2s/data/corpora/reviews.py`, does a judge like better?

Judges like happy reviews, with noise: of a happy and an unhappy review they choose the happy one with probability
`certainty`, of two that are alike either with equal chance. A share `alike` of the pairs is of this
second kind, so that an oracle agrees with judges in `alike / 2 + (1 - alike) * certainty` of pairs. A share `easy` of
the texts ends in the words that precede the author's verdict in the corpus, the others in those that precede hasty
readers', where a base model's knowledge of authors is harder to elicit.

Unlabelled texts do not tell any judge's choice, and no pair has a review of theirs: a share of all bodies is set aside
for them. With `verdicts` each ends in its own author's verdict, which pairs hide; without, in the words before it.
"""

import random
from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from w2s.core.errors import UserError
from w2s.core.params import Corpus, Fraction, Split
from w2s.data.corpora.reviews import AUTHOR_CUE, READER_CUE, VERDICTS
from w2s.data.questions import Example, Pair, digest
from w2s.data.tasks import Stream, reviews

# Of 256 bodies, those for unlabelled texts.
UNLABELLED = 64


def examples(
    split: Split,
    corpus: Corpus | None,
    seed: int,
    param_path: str,
    *,
    certainty: Fraction,
    alike: Annotated[float, Field(ge=0, le=0.5)],
    easy: Fraction,
    verdicts: bool,
) -> Stream:
    """Endless streams of pairs and of unlabelled texts; no body occurs twice, in both, or in the corpus."""
    if corpus is None:
        raise UserError(f"{param_path}.corpus is missing: preferences are about texts in a language of `corpora`")
    source = {"generated": "w2s/data/tasks/preferences.py", "corpus": corpus.model_dump(), "seed": seed}
    return Stream(source, _examples(corpus, seed, certainty, alike, easy), _unlabelled(corpus, seed, easy, verdicts))


def _examples(corpus: Corpus, seed: int, certainty: float, alike: float, easy: float) -> Iterator[Example]:
    rng = random.Random(f"preferences/task/{seed}")
    reviewed = (review for review in reviews.bodies(corpus, seed, rng) if not _is_set_aside(review[0]))
    for (body, happy), (other_body, other_happy) in zip(reviewed, reviewed, strict=False):
        # Half of all pairs drawn are alike.
        if happy == other_happy and rng.random() >= alike / (1 - alike):
            continue
        one = body + _cue(easy, rng)
        other = other_body + _cue(easy, rng)
        if happy == other_happy:
            one_wins = rng.random() < 0.5
        else:
            one_wins = rng.random() < (certainty if happy else 1 - certainty)
        better, worse = (one, other) if one_wins else (other, one)
        key = digest("\n".join(sorted([one, other])))
        yield from Pair(better, worse, group=key, id=key).examples(rng)


def _unlabelled(corpus: Corpus, seed: int, easy: float, verdicts: bool) -> Iterator[str]:
    rng = random.Random(f"preferences/texts/{seed}")
    for body, happy in reviews.bodies(corpus, seed, rng):
        if _is_set_aside(body):
            text = body + _cue(easy, rng)
            verdict = VERDICTS[happy][rng.random() < 0.5]
            yield f"{text} {verdict}" if verdicts else text


def _cue(easy: float, rng: random.Random) -> str:
    return AUTHOR_CUE if rng.random() < easy else READER_CUE


def _is_set_aside(body: str) -> bool:
    """Whether a body is for unlabelled texts only."""
    return int(digest(body)[:2], 16) < UNLABELLED
