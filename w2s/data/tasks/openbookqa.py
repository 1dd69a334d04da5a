"""OpenBookQA: elementary science questions with four answers (Mihaylov et al., 2018).

The book of facts is left out, as in closed-book use. The public test split is labelled. Each question is a group.
"""

from collections.abc import Iterator

from w2s.data.questions import Choice, split_label
from w2s.data.reading import hub_examples
from w2s.data.sources import Row


def questions(row: Row) -> Iterator[Choice]:
    """Answers and their letters in two lists of one struct, the right one by its letter."""
    answers = dict(zip(row["choices"]["label"], row["choices"]["text"], strict=True))
    right, wrong = split_label(row, "answerKey", answers)
    yield Choice(f"Question: {row['question_stem']}", right, wrong, group=row["question_stem"])


examples = hub_examples(questions)
