"""HH-RLHF: which of two ends of a dialogue with an assistant did a person prefer? (Bai et al., 2022).

Both dialogues of a pair begin alike, up to an answer of the assistant. A conversation was judged turn by turn, so the
beginning of one pair may be part of another: the first thing that the person said is the group. Dialogues that are the
same are left out, and so are the few that do not begin alike. Both splits are public.
"""

import os
from collections.abc import Iterator

from w2s.sources import Row
from w2s.tasks import Pair, hub

ANSWER = "\n\nAssistant:"


def questions(row: Row) -> Iterator[Pair]:
    """Two whole dialogues."""
    chosen, rejected = row["chosen"], row["rejected"]
    prompt = shared(chosen, rejected)
    if prompt:
        yield Pair(chosen.strip(), rejected.strip(), group=prompt.split(ANSWER)[0])


def shared(chosen: str, rejected: str) -> str:
    """What both dialogues begin with: all turns before the answers that differ."""
    common = os.path.commonprefix([chosen, rejected])
    return common[: common.rfind(ANSWER) + len(ANSWER)] if ANSWER in common else ""


examples = hub(questions)
