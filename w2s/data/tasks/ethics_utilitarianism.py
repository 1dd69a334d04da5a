"""ETHICS, utilitarianism: which of two things that happened is more pleasant? (Hendrycks et al., 2021).

Rows are pairs from ranked lists of scenarios that begin alike and end differently. How a pair begins is its group: as
far as both agree, at most a sentence and six words, since an edit may come anywhere after. The labelled test file of
ordinary difficulty is the test, not the adversarially filtered `test_hard.csv`.
"""

import re
import zlib
from collections.abc import Iterator
from itertools import takewhile

from w2s.data.questions import Statement
from w2s.data.reading import hub_examples
from w2s.data.sources import Row

WORDS = 6


def questions(row: Row) -> Iterator[Statement]:
    """`baseline` is the more pleasant one. Which is shown first follows from the texts, not from which is better."""
    better = row["baseline"].strip()
    worse = row["less_pleasant"].strip()
    if better != worse:
        first, second = sorted([better, worse], key=lambda text: (zlib.crc32(text.encode()), text))
        text = f"First: {first}\nSecond: {second}\nIs the first more pleasant than the second?"
        yield Statement(text, first == better, group=opening(better, worse))


def opening(one: str, two: str) -> str:
    """The first words that both scenarios share; both scenarios where they share none."""
    pairs = zip(first_words(one), first_words(two), strict=False)
    shared = [word for word, _ in takewhile(lambda pair: pair[0] == pair[1], pairs)]
    return " ".join(shared[:WORDS]) or " ".join(sorted([one, two]))


def first_words(text: str) -> list[str]:
    """The words of the first sentence, in lower case."""
    return re.findall(r"[\w']+", re.split(r"[.!?]", text.casefold(), maxsplit=1)[0])


examples = hub_examples(questions)
