"""QuAIL: questions of nine kinds about stories, news and posts, with four answers (Rogers et al., 2020).

There is no public test split, so the validation split is the test; the small challenge split is left out. Questions
about one text are a group. One answer is always "not enough information", right in one kind of question only.
"""

from collections.abc import Iterator

from w2s.data.questions import Choice, split_label
from w2s.data.reading import hub_examples
from w2s.data.sources import Row


def questions(row: Row) -> Iterator[Choice]:
    """A list of answers, the right one by its number."""
    right, wrong = split_label(row, "correct_answer_id", dict(enumerate(row["answers"])))
    yield Choice(f"{row['context'].strip()}\nQuestion: {row['question']}", right, wrong, group=row["context"])


examples = hub_examples(questions)
