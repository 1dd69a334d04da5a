"""QuaRTz: questions on qualitative relations that a sentence of background states (Tafjord et al., 2019).

The public test split is labelled. Questions on one background sentence are a group.
"""

from collections.abc import Iterator

from w2s.data.questions import Choice, split_label
from w2s.data.reading import hub_examples
from w2s.data.sources import Row


def questions(row: Row) -> Iterator[Choice]:
    """Two answers and their letters in two lists of one struct, the right one by its letter."""
    answers = dict(zip(row["choices"]["label"], row["choices"]["text"], strict=True))
    right, wrong = split_label(row, "answerKey", answers)
    yield Choice(f"{row['para'].strip()}\nQuestion: {row['question']}", right, wrong, group=row["para"])


examples = hub_examples(questions)
