"""CoLA: is a sentence from the linguistics literature acceptable English? (Warstadt et al., 2019; GLUE).

The public test split has no labels, so the validation split is the test. Sentences of one publication often are
variations of each other; the data do not tell which, so each sentence is its own group.
"""

from collections.abc import Iterator

from w2s.data.questions import Statement, decode_label
from w2s.data.reading import hub_examples
from w2s.data.sources import Row


def questions(row: Row) -> Iterator[Statement]:
    """One sentence; 1 is acceptable."""
    text = f"{row['sentence'].strip()}\nIs this sentence acceptable English?"
    yield Statement(text, decode_label(row, "label", {1: True, 0: False}), group=row["sentence"])


examples = hub_examples(questions)
