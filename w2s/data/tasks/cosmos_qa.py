"""CosmosQA: what a blog post leaves unsaid, with four answers (Huang et al., 2019).

The labels of the public test split are hidden (−1), so its validation split is the test. Questions about one post are
a group. An answer may be "None of the above choices .", which is then told apart as it stands.
"""

from collections.abc import Iterator

from w2s.data.questions import Choice, split_label
from w2s.data.reading import hub_examples
from w2s.data.sources import Row


def questions(row: Row) -> Iterator[Choice]:
    """Four answers in columns of their own, the right one by number."""
    answers = {number: row[f"answer{number}"] for number in range(4)}
    right, wrong = split_label(row, "label", answers)
    yield Choice(f"{row['context'].strip()}\nQuestion: {row['question']}", right, wrong, group=row["context"])


examples = hub_examples(questions)
