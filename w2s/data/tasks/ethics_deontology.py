"""ETHICS, deontology: is an excuse from a request, or a duty of a role, reasonable? (Hendrycks et al., 2021).

A request or role comes with up to four excuses or duties and is their group. The labelled test file of ordinary
difficulty is the test, not the adversarially filtered `test_hard.csv`.
"""

from collections.abc import Iterator

from w2s.data.questions import Statement, decode_label
from w2s.data.reading import hub_examples
from w2s.data.sources import Row


def questions(row: Row) -> Iterator[Statement]:
    """What was asked or who speaks, then the reply; 1 is reasonable."""
    text = f"{row['scenario'].strip()}\n{row['excuse'].strip()}\nIs this reasonable?"
    yield Statement(text, decode_label(row, "label", {"1": True, "0": False}), group=row["scenario"])


examples = hub_examples(questions)
