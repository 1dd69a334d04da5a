"""Social IQa: what people want, feel or do next in a situation, with three answers (Sap et al., 2019).

There is no public test split, so the validation split is the test. Questions about one situation are a group.
"""

from collections.abc import Iterator

from w2s.data.questions import Choice, split_label
from w2s.data.reading import hub_examples
from w2s.data.sources import Row


def questions(row: Row) -> Iterator[Choice]:
    """Answers in columns of their own, the right one by its number from 1, which is a string."""
    answers = {"1": row["answerA"], "2": row["answerB"], "3": row["answerC"]}
    right, wrong = split_label(row, "label", answers)
    yield Choice(f"{row['context'].strip()}\nQuestion: {row['question']}", right, wrong, group=row["context"])


examples = hub_examples(questions)
