"""ANLI, round 2: does a claim follow from a paragraph? Claims were written to fool a model (Nie et al., 2020).

Of the three labels, entailment is yes; neutral and contradiction are no. The paragraph is the group. The public test
split is labelled.
"""

from collections.abc import Iterator

from w2s.data.questions import Statement, decode_label
from w2s.data.reading import hub_examples
from w2s.data.sources import Row


def questions(row: Row) -> Iterator[Statement]:
    """Premise and hypothesis; 0 is entailment, 1 neutral, 2 contradiction."""
    text = f"{row['premise'].strip()}\nClaim: {row['hypothesis'].strip()}\nDoes the claim follow from the text?"
    yield Statement(text, decode_label(row, "label", {0: True, 1: False, 2: False}), group=row["premise"])


examples = hub_examples(questions)
