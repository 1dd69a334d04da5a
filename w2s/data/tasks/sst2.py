"""SST-2: does a sentence of a film review praise the film? (Socher et al., 2013; GLUE).

The train split holds phrases, most of them fragments of longer ones; the longest phrase that contains a fragment is its
group. The public test split has no labels, so the validation split, whole sentences only, is the test.
"""

from collections.abc import Iterator, Sequence

from w2s.data.questions import Statement, decode_label
from w2s.data.reading import hub_examples
from w2s.data.sources import Row


def questions(row: Row) -> Iterator[Statement]:
    """One phrase, tokenised and in lower case; 1 is positive."""
    phrase = " ".join(row["sentence"].split())
    text = f"{phrase}\nIs this film review positive?"
    yield Statement(text, decode_label(row, "label", {1: True, 0: False}), group=phrase)


def sentences(phrases: Sequence[str]) -> dict[str, str]:
    """The longest phrase that each phrase is part of, word for word; the first by alphabet of several."""
    fragments = set(phrases)
    whole: dict[str, str] = {}
    for phrase in sorted(fragments, key=lambda phrase: (-len(phrase.split()), phrase)):
        if phrase not in whole:
            words = phrase.split()
            spans = (" ".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1))
            whole |= {span: phrase for span in spans if span in fragments and span not in whole}
    return whole


examples = hub_examples(questions, merge_groups=sentences)
