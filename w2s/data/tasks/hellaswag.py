"""HellaSwag: how a caption or a how-to text goes on, with four endings (Zellers et al., 2019).

The labels of the public test split are hidden (an empty string), so its validation split is the test. Rows from one
video or one article are a group.
"""

from collections.abc import Iterator

from w2s.data.questions import Choice, split_label
from w2s.data.reading import hub_examples
from w2s.data.sources import Row


def questions(row: Row) -> Iterator[Choice]:
    """A list of endings, the right one by its number, which is a string."""
    endings = {str(number): ending for number, ending in enumerate(row["endings"])}
    right, wrong = split_label(row, "label", endings)
    yield Choice(f"How does this go on?\n{row['activity_label']}: {row['ctx']}", right, wrong, group=row["source_id"])


examples = hub_examples(questions)
