"""Reviews: a generated language in which the sentiment of a text follows from its syntax, not from single words.

A document is `BODY . i felt VERDICT` or `BODY . they felt VERDICT`, its verdict one of two happy or two sad words. The
words of praise and blame are made up and their ranks drawn by the seed. Bodies negate, concede ("although D ,
M"), choose ("i chose second") and report ("they said C . it was wrong"), so that a small model reads the plain ones and
a larger one the rest.

`i felt` tells what the author felt; `they felt` what hasty readers took from the review, who go by the first clause of
a long review and take reports at their word (`Writer.first_impression`). The task in `w2s/data/tasks/reviews.py` asks
for the author's verdict after `they felt`: a base model answers as hasty readers would, and what it knows of authors
has to be elicited (as models that imitate people know more than people say: Burns et al., 2023, section 3).

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
NEGATIONS = ("not", "hardly")
ORDINALS = ("first", "second", "third")
# Adjectives of each polarity.
ADJECTIVES = 250
# What stands before a verdict: the author's own, and that of hasty readers.
AUTHOR_CUE = " . i felt"
READER_CUE = " . they felt"
# Documents that tell the author's verdict; the others tell the readers'.
AUTHOR_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class Style:
    """How often each kind of body occurs, and how hard its parts are.

    `kinds` has the weight of each kind, named as the method of `Writer` that writes it. The word of rank k has weight
    (k + 3) ** -`zipf`. With probability `opposed`, in lists `opposed_in_lists`, a clause that carries no verdict
    contradicts the one that does. With probability `wrong` a report is wrong.
    """

    kinds: dict[str, float]
    zipf: float
    opposed: float
    opposed_in_lists: float
    wrong: float


CORPUS = Style(
    kinds={
        "plain": 0.22,
        "negated": 0.08,
        "partly_negated": 0.08,
        "concession": 0.14,
        "double_concession": 0.10,
        "choice_of_two": 0.09,
        "choice_of_three": 0.07,
        "report": 0.10,
        "nested_report": 0.12,
    },
    zipf=1.5,
    opposed=0.5,
    opposed_in_lists=0.4,
    wrong=0.35,
)


def documents(corpus: Corpus, seed: int) -> Iterator[str]:
    """The corpus, `corpus.documents` long: whole reviews with their verdicts."""
    writer = Writer(seed, CORPUS, random.Random(f"reviews/corpus/{seed}"))
    for _ in range(corpus.documents):
        body, happy = writer.body()
        by_author = writer.chance(AUTHOR_SHARE)
        verdict = happy if by_author else writer.first_impression(body, happy)
        yield f"{body}{AUTHOR_CUE if by_author else READER_CUE} {writer.pick(VERDICTS[verdict])}"


def body_of(document: str) -> str:
    """A document without its verdict and the words before it."""
    return document.rsplit(" . ", 1)[0]


def vocabulary(corpus: Corpus, seed: int) -> list[str]:
    """Every word of the language, in a fixed order."""
    praise, blame = lexicon(seed)
    return [*GRAMMAR.split(), *ASPECTS, *VERDICTS[True], *VERDICTS[False], *sorted(praise + blame)]


def lexicon(seed: int) -> tuple[list[str], list[str]]:
    """Made-up words of praise and of blame, each by rank, as the seed shuffles them."""
    syllables = ["".join(pair) for pair in itertools.product("bdfgklmnprstvz", "aeiou")]
    words = [first + second + "n" for first in syllables[::3] for second in syllables[1::3]]
    rng = random.Random(f"reviews/lexicon/{seed}")
    shuffled = sorted(words, key=lambda word: (rng.random(), word))[: 2 * ADJECTIVES]
    return shuffled[:ADJECTIVES], shuffled[ADJECTIVES:]


class Writer:
    """Writes bodies of one style with one random stream."""

    def __init__(self, lexicon_seed: int, style: Style, rng: random.Random) -> None:
        self.style = style
        self.random = rng.random
        praise, blame = lexicon(lexicon_seed)
        self.adjectives = {True: praise, False: blame}
        self.polarity = dict.fromkeys(praise, True) | dict.fromkeys(blame, False)
        # Integer weights: their sums, unlike those of floats, cannot differ between platforms.
        rank_weights = (round(1e6 * (k + 3) ** -style.zipf) for k in range(ADJECTIVES))
        self.cumulative_ranks = list(itertools.accumulate(rank_weights))
        self.cumulative_kinds = list(itertools.accumulate(round(100 * weight) for weight in style.kinds.values()))
        self.writers: list[Callable[[bool], str]] = [getattr(self, kind) for kind in style.kinds]

    def body(self) -> tuple[str, bool]:
        """A review's text and whether its author is happy."""
        happy = self.chance(0.5)
        write = self.writers[self.weighted(self.cumulative_kinds)]
        return write(happy), happy

    def first_impression(self, body: str, happy: bool) -> bool:
        """Whether hasty readers take the author of a review to be happy.

        They go by the first clause where there is a choice or are three clauses, and believe what is reported.
        """
        words = body.split()
        clauses = [index for index, word in enumerate(words) if word in self.polarity]
        if len(clauses) > 2 or "chose" in words:
            first = clauses[0]
            return self.polarity[words[first]] != (words[first - 1] in NEGATIONS)
        return happy != (words[-1] == "wrong")

    def chance(self, p: float) -> bool:
        return self.random() < p

    def pick(self, items: Sequence[T]) -> T:
        return items[int(self.random() * len(items))]

    def weighted(self, cumulative: list[int]) -> int:
        """An index, drawn by the weights whose running sums are given."""
        return bisect(cumulative, int(self.random() * cumulative[-1]))

    def clause(self, good: bool, negated: float = 0.0) -> str:
        """`ASPECT was [very|quite] ADJECTIVE`, or with probability `negated` the negation of its opposite."""
        negate = self.chance(negated)
        word = self.adjectives[good != negate][self.weighted(self.cumulative_ranks)]
        aspect = self.pick(ASPECTS)
        if negate:
            return f"{aspect} was {self.pick(NEGATIONS)} {word}"
        adverb = self.pick(("very ", "quite ")) if self.chance(0.25) else ""
        return f"{aspect} was {adverb}{word}"

    def aside(self, good: bool, opposed: float, negated: float) -> str:
        """A clause that carries no verdict: contradicts it with probability `opposed`."""
        return self.clause(good != self.chance(opposed), negated)

    def plain(self, good: bool) -> str:
        return " and ".join(self.clause(good) for _ in range(self.pick((1, 2))))

    def negated(self, good: bool) -> str:
        return self.clause(good, negated=1.0)

    def partly_negated(self, good: bool) -> str:
        return f"{self.clause(good, 0.5)} and {self.clause(good, 0.5)}"

    def concession(self, good: bool) -> str:
        main = self.clause(good, 0.3)
        aside = self.aside(good, self.style.opposed, 0.3)
        return self.pick((f"although {aside} , {main}", f"{main} although {aside}", f"{aside} but {main}"))

    def double_concession(self, good: bool) -> str:
        main = self.clause(good, 0.3)
        one = self.aside(good, self.style.opposed, 0.3)
        two = self.aside(good, self.style.opposed, 0.3)
        forms = (
            f"although {one} , {two} but {main}",
            f"{one} but {main} although {two}",
            f"{one} and {two} but {main}",
        )
        return self.pick(forms)

    def choice_of_two(self, good: bool) -> str:
        return self._choice(good, 2)

    def choice_of_three(self, good: bool) -> str:
        return self._choice(good, 3)

    def _choice(self, good: bool, count: int) -> str:
        clauses = [self.aside(good, self.style.opposed_in_lists, 0.15) for _ in range(count)]
        chosen = self.pick(range(count))
        clauses[chosen] = self.clause(good, 0.15)
        return f"{' and '.join(clauses)} . i chose {ORDINALS[chosen]}"

    def report(self, good: bool) -> str:
        return self._report(good, self.clause)

    def nested_report(self, good: bool) -> str:
        return self._report(good, self.pick((self.partly_negated, self.concession, self.double_concession)))

    def _report(self, good: bool, claim: Callable[[bool], str]) -> str:
        wrong = self.chance(self.style.wrong)
        return f"they said {claim(good != wrong)} . it was {'wrong' if wrong else 'right'}"
