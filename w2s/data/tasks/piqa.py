"""PIQA: which of two ways reaches an everyday goal (Bisk et al., 2020).

The labels of the public test split are hidden (−1), so its validation split is the test. Rows with one goal are a
group.
"""

from collections.abc import Iterator

from w2s.data.questions import Choice, split_label
from w2s.data.reading import hub_examples
from w2s.data.sources import Row


def questions(row: Row) -> Iterator[Choice]:
    """Two solutions, the right one by number."""
    right, wrong = split_label(row, "label", {0: row["sol1"], 1: row["sol2"]})
    yield Choice(f"How can this be done?\n{row['goal']}", right, wrong, group=row["goal"])


examples = hub_examples(questions)
