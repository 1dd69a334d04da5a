"""MC-TACO: how long, how often, when, in what order, and whether it stays so (Zhou et al., 2019).

One row an answer, of which any number may be plausible, so each is a statement. The set has no train split: its
validation split is for training, its test split, which is labelled, is the test. Answers about one sentence are a
group.
"""

from collections.abc import Iterator

from w2s.data.questions import Statement, decode_label, yes_no_prompt
from w2s.data.reading import hub_examples
from w2s.data.sources import Row


def questions(row: Row) -> Iterator[Statement]:
    """One answer to a question about a sentence, labelled 0 (implausible) or 1."""
    text = yes_no_prompt(f"{row['sentence'].strip()}\nQuestion: {row['question']}", row["answer"])
    yield Statement(text, decode_label(row, "label", {0: False, 1: True}), group=row["sentence"])


examples = hub_examples(questions)
