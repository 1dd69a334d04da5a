"""ETHICS, virtue: does a person in a scene show a trait of character? (Hendrycks et al., 2021).

Each scene comes with up to five traits, about one of which fits, and is their group; balancing leaves out most traits
that do not fit. The labelled test file of ordinary difficulty is the test, not the adversarially filtered
`test_hard.csv`.
"""

from collections.abc import Iterator

from w2s.data.questions import Statement, decode_label
from w2s.data.reading import hub_examples
from w2s.data.sources import Row


def questions(row: Row) -> Iterator[Statement]:
    """Scene and trait share a column, with "[SEP]" between them; 1 fits."""
    scene, trait = (part.strip() for part in row["scenario"].rsplit("[SEP]", 1))
    text = f"{scene}\nTrait: {trait}\nDoes someone in this scene show this trait?"
    yield Statement(text, decode_label(row, "label", {"1": True, "0": False}), group=scene)


examples = hub_examples(questions)
