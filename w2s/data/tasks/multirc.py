"""MultiRC: any number of a question's answers may be right, given a paragraph (Khashabi et al., 2018; in SuperGLUE).

One row an answer, so each is a statement. The labels of the public test split are hidden (−1), so its validation split
is the test. Answers to questions about one paragraph are a group.
"""

from collections.abc import Iterator

from w2s.data.questions import Statement, decode_label, yes_no_prompt
from w2s.data.reading import hub_examples
from w2s.data.sources import Row


def questions(row: Row) -> Iterator[Statement]:
    """One answer to a question, labelled 0 or 1."""
    text = yes_no_prompt(f"{row['paragraph'].strip()}\nQuestion: {row['question']}", row["answer"])
    yield Statement(text, decode_label(row, "label", {0: False, 1: True}), group=row["paragraph"])


examples = hub_examples(questions)
