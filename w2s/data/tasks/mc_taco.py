"""MC-TACO: how long, how often, when, in what order, and whether it stays so (Zhou et al., 2019).

One row an answer, of which any number may be plausible, so each is a statement. The set has no train split: its
validation split is for training, its test split, which is labelled, is the test. Answers about one sentence are a
group.
"""

from collections.abc import Iterator

from w2s.data.sources import Row
from w2s.data.tasks import Statement, asked, hub, meaning


def questions(row: Row) -> Iterator[Statement]:
    """One answer to a question about a sentence, labelled 0 (implausible) or 1."""
    text = asked(f"{row['sentence'].strip()}\nQuestion: {row['question']}", row["answer"])
    yield Statement(text, meaning(row, "label", {0: False, 1: True}), group=row["sentence"])


examples = hub(questions)
