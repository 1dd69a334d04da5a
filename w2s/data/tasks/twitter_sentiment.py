"""Twitter sentiment: is a tweet positive or negative? (Rosenthal et al., 2017; as in TweetEval, Barbieri et al., 2020).

Neutral tweets are left out. Which tweets the paper used is not known; these are public, labelled by people, and have a
labelled test split. Tweets that differ only in whom they mention or what they link to are one group.
"""

import re
from collections.abc import Iterator

from w2s.data.questions import Statement, decode_label
from w2s.data.reading import hub_examples
from w2s.data.sources import Row


def questions(row: Row) -> Iterator[Statement]:
    """One tweet; 0 is negative, 1 neutral, 2 positive."""
    positive = decode_label(row, "label", {0: False, 1: None, 2: True})
    if positive is not None:
        tweet = row["text"].strip()
        group = re.sub(r"@\w+|https?://\S+|\bRT\b", " ", tweet)
        yield Statement(f"{tweet}\nIs this tweet positive?", positive, group=group.strip() or tweet)


examples = hub_examples(questions)
