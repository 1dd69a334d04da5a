"""WiC: is a word used in the same sense in two sentences? (Pilehvar and Camacho-Collados, 2019; SuperGLUE).

The public test split has no labels, so the validation split is the test. The word is the group.
"""

from collections.abc import Iterator

from w2s.data.questions import Statement, decode_label
from w2s.data.reading import hub_examples
from w2s.data.sources import Row


def questions(row: Row) -> Iterator[Statement]:
    """The word's dictionary form and two sentences; 1 is the same sense."""
    text = (
        f"First: {row['sentence1'].strip()}\nSecond: {row['sentence2'].strip()}\n"
        f'Does the word "{row["word"]}" have the same meaning in both sentences?'
    )
    yield Statement(text, decode_label(row, "label", {1: True, 0: False}), group=row["word"])


examples = hub_examples(questions)
