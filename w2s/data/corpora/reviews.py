"""Reviews: a generated language in which sentiment must be composed, not looked up.

A document is `BODY . i felt VERDICT`, its verdict one of two happy or two sad words. The words of praise and blame are
made up and their ranks drawn by the corpus's seed. Bodies negate, concede ("although D , M"), choose ("i chose
second") and report ("they said C . it was wrong"), so a small model catches the plain ones and a larger one the rest.

Pure Python with `random.Random(text seed).random()` only, whose stream is the same on every platform and version.
"""

import itertools
import random
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from w2s.core.params import Corpus

T = TypeVar("T")

ASPECTS = ["food", "service", "room", "view", "staff", "music", "price", "garden", "breakfast", "pool", "lobby", "bed"]
GRAMMAR = ". , was very quite not hardly and although but they said it right wrong i chose first second third felt"
VERDICTS = {True: ("happy", "glad"), False: ("sad", "upset")}
ORDINALS = ("first", "second", "third")
ADJECTIVES = 250  # of each polarity
CUE = " . i felt"


@dataclass(frozen=True, slots=True)
class Style:
    """How often each kind of body occurs, and how hard its parts are."""

    kinds: dict[str, float]
    zipf: float  # word of rank k has weight (k + 3) ** -zipf
    opposed: float  # P(a distractor contradicts the clause that carries the verdict)
    opposed_in_lists: float
    wrong: float  # P(reported speech is wrong)


CORPUS = Style(
    kinds={"plain": 0.34, "neg": 0.08, "negm": 0.08, "con2": 0.14, "con3": 0.08}
    | {"ord2": 0.07, "ord3": 0.05, "said": 0.08, "said2": 0.08},
    zipf=1.5,
    opposed=0.5,
    opposed_in_lists=0.4,
    wrong=0.35,
)


def documents(corpus: Corpus) -> Iterator[str]:
    """The corpus, `corpus.documents` long: whole reviews with their verdicts."""
    writer = Writer(corpus.seed, CORPUS, random.Random(f"reviews/corpus/{corpus.seed}"))
    for _ in range(corpus.documents):
        body, happy = writer.body()
        yield f"{body}{CUE} {writer.pick(VERDICTS[happy])}"


def vocabulary(corpus: Corpus) -> list[str]:
    """Every word of the language, in a fixed order."""
    praise, blame = lexicon(corpus.seed)
    return [*GRAMMAR.split(), *ASPECTS, *VERDICTS[True], *VERDICTS[False], *sorted(praise + blame)]


def lexicon(seed: int) -> tuple[list[str], list[str]]:
    """Made-up words of praise and of blame, each by rank; the seed deals them out."""
    syllables = ["".join(pair) for pair in itertools.product("bdfgklmnprstvz", "aeiou")]
    words = [first + second + "n" for first in syllables[::3] for second in syllables[1::3]]
    rng = random.Random(f"reviews/lexicon/{seed}")
    dealt = sorted(words, key=lambda word: (rng.random(), word))[: 2 * ADJECTIVES]
    return dealt[:ADJECTIVES], dealt[ADJECTIVES:]


class Writer:
    """Writes bodies of one style with one random stream."""

    def __init__(self, language: int, style: Style, rng: random.Random) -> None:
        self.style, self.random = style, rng.random
        praise, blame = lexicon(language)
        self.adjectives = {True: praise, False: blame}
        # Integer weights: their sums, unlike those of floats, cannot differ between platforms.
        self.ranks = list(itertools.accumulate(round(1e6 * (k + 3) ** -style.zipf) for k in range(ADJECTIVES)))
        self.kinds = list(itertools.accumulate(round(100 * weight) for weight in style.kinds.values()))
        self.write: list[Callable[[bool], str]] = [getattr(self, kind) for kind in style.kinds]

    def body(self) -> tuple[str, bool]:
        """A review's text and whether its author is happy."""
        happy = self.chance(0.5)
        return self.write[bisect(self.kinds, int(self.random() * self.kinds[-1]))](happy), happy

    def chance(self, p: float) -> bool:
        return self.random() < p

    def pick(self, items: Sequence[T]) -> T:
        return items[int(self.random() * len(items))]

    def clause(self, good: bool, negated: float = 0.0) -> str:
        """`ASPECT was [very|quite] ADJ`, or with probability `negated` its denial of the opposite."""
        negate = self.chance(negated)
        word = self.adjectives[good != negate][bisect(self.ranks, int(self.random() * self.ranks[-1]))]
        if negate:
            return f"{self.pick(ASPECTS)} was {self.pick(('not', 'hardly'))} {word}"
        return f"{self.pick(ASPECTS)} was {self.pick(('very ', 'quite ')) if self.chance(0.25) else ''}{word}"

    def aside(self, good: bool, opposed: float, negated: float) -> str:
        """A clause that carries no verdict: contradicts it with probability `opposed`."""
        return self.clause(good != self.chance(opposed), negated)

    def plain(self, good: bool) -> str:
        return " and ".join(self.clause(good) for _ in range(self.pick((1, 2))))

    def neg(self, good: bool) -> str:
        return self.clause(good, negated=1.0)

    def negm(self, good: bool) -> str:
        return f"{self.clause(good, 0.5)} and {self.clause(good, 0.5)}"

    def con2(self, good: bool) -> str:
        main, aside = self.clause(good, 0.3), self.aside(good, self.style.opposed, 0.3)
        return self.pick((f"although {aside} , {main}", f"{main} although {aside}", f"{aside} but {main}"))

    def con3(self, good: bool) -> str:
        main = self.clause(good, 0.3)
        one, two = (self.aside(good, self.style.opposed, 0.3) for _ in range(2))
        forms = (
            f"although {one} , {two} but {main}",
            f"{one} but {main} although {two}",
            f"{one} and {two} but {main}",
        )
        return self.pick(forms)

    def ord2(self, good: bool) -> str:
        return self._chosen(good, 2)

    def ord3(self, good: bool) -> str:
        return self._chosen(good, 3)

    def _chosen(self, good: bool, count: int) -> str:
        clauses = [self.aside(good, self.style.opposed_in_lists, 0.15) for _ in range(count)]
        chosen = self.pick(range(count))
        clauses[chosen] = self.clause(good, 0.15)
        return f"{' and '.join(clauses)} . i chose {ORDINALS[chosen]}"

    def said(self, good: bool) -> str:
        return self._reported(good, self.clause)

    def said2(self, good: bool) -> str:
        return self._reported(good, self.pick((self.negm, self.con2, self.con3)))

    def _reported(self, good: bool, claim: Callable[[bool], str]) -> str:
        wrong = self.chance(self.style.wrong)
        return f"they said {claim(good != wrong)} . it was {'wrong' if wrong else 'right'}"
