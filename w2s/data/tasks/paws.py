"""PAWS-Wiki, labelled by people: do two sentences with nearly the same words mean the same? (Zhang et al., 2019).

Several pairs may be made from one sentence of Wikipedia by swapping words; the words of a pair's first sentence, in any
order, are its group. The public test split is labelled.
"""

from collections.abc import Iterator

from w2s.data.questions import Statement, decode_label
from w2s.data.reading import hub_examples
from w2s.data.sources import Row


def questions(row: Row) -> Iterator[Statement]:
    """Two tokenised sentences; 1 is a paraphrase."""
    first = row["sentence1"].strip()
    second = row["sentence2"].strip()
    text = f"First: {first}\nSecond: {second}\nDo these two sentences mean the same?"
    words = " ".join(sorted(first.casefold().split()))
    yield Statement(text, decode_label(row, "label", {1: True, 0: False}), group=words)


examples = hub_examples(questions)
