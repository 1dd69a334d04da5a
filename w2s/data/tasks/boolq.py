"""BoolQ: yes/no questions that people asked a search engine, each with a paragraph of Wikipedia (Clark et al., 2019).

The public test split has no labels, so its validation split is the test. Several questions may share a paragraph, which
is their group.
"""

from collections.abc import Iterator

from w2s.data.questions import Statement, decode_label
from w2s.data.reading import hub_examples
from w2s.data.sources import Row


def questions(row: Row) -> Iterator[Statement]:
    """The paragraph, then the question (lower case and without its question mark in the data)."""
    question = row["question"].strip().removesuffix("?")
    text = f"{row['passage'].strip()}\nQuestion: {question[:1].upper()}{question[1:]}?"
    yield Statement(text, decode_label(row, "answer", {True: True, False: False}), group=row["passage"])


examples = hub_examples(questions)
