"""Amazon polarity: did a customer rate a product well? (Zhang et al., 2015).

One or two stars are negative, four or five positive. A review posted for several products is one group, whatever its
title. The public test split is labelled. Of the 3.6 million train rows, params.yaml names the first of four files.
"""

from collections.abc import Iterator

from w2s.data.questions import Statement, decode_label
from w2s.data.reading import hub_examples
from w2s.data.sources import Row


def questions(row: Row) -> Iterator[Statement]:
    """Title (it may be empty) and text; 0 is negative, 1 positive."""
    review = f"{row['title'].strip()}\n{row['content'].strip()}".strip()
    text = f"{review}\nIs this review positive?"
    yield Statement(text, decode_label(row, "label", {0: False, 1: True}), group=row["content"])


examples = hub_examples(questions)
