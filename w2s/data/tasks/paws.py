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
    one, two = row["sentence1"].strip(), row["sentence2"].strip()
    text = f"First: {one}\nSecond: {two}\nDo these two sentences mean the same?"
    yield Statement(
        text, decode_label(row, "label", {1: True, 0: False}), group=" ".join(sorted(one.casefold().split()))
    )


examples = hub_examples(questions)
