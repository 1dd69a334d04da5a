"""SciQ: crowdsourced science exam questions with four answers (Welbl et al., 2017).

The supporting paragraph, which often states the answer, is left out, as in closed-book use. The public test split is
labelled. Each question is a group.
"""

from collections.abc import Iterator

from w2s.data.questions import Choice
from w2s.data.reading import hub_examples
from w2s.data.sources import Row


def questions(row: Row) -> Iterator[Choice]:
    """Each answer in a column of its own, the right one known by the column's name."""
    wrong = [row["distractor1"], row["distractor2"], row["distractor3"]]
    yield Choice(f"Question: {row['question']}", row["correct_answer"], wrong, group=row["question"])


examples = hub_examples(questions)
