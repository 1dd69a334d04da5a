"""DREAM: questions about a dialogue from English examinations, with three answers (Sun et al., 2019).

The public test split is labelled. Questions about one dialogue are a group.
"""

from collections.abc import Iterator

from w2s.data.questions import Choice, split_label
from w2s.data.reading import hub_examples
from w2s.data.sources import Row


def questions(row: Row) -> Iterator[Choice]:
    """A list of turns, a list of answers, and the right one by its text."""
    dialogue = "\n".join(row["dialogue"])
    answers = {answer: answer for answer in row["choice"]}
    right, wrong = split_label(row, "answer", answers)
    yield Choice(f"{dialogue}\nQuestion: {row['question']}", right, wrong, group=dialogue)


examples = hub_examples(questions)
