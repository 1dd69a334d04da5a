"""HH-RLHF: which of two ends of a dialogue with an assistant did a person prefer? (Bai et al., 2022).

Both dialogues of a pair share a prompt: all turns up to an answer of the assistant. Prompts may begin like one another,
where a conversation was judged at several of its turns, so how they begin is the group: the first thing that the person
said. Dialogues that are the same are left out, and so are pairs that share no prompt. Both splits are public.
"""

from collections.abc import Iterator

from w2s.data.questions import Pair
from w2s.data.reading import hub_examples
from w2s.data.sources import Row

ANSWER = "\n\nAssistant:"


def questions(row: Row) -> Iterator[Pair]:
    """Two whole dialogues."""
    chosen = row["chosen"]
    rejected = row["rejected"]
    question, separator, _ = chosen.partition(ANSWER)
    if separator and rejected.startswith(question + separator):
        yield Pair(chosen.strip(), rejected.strip(), group=question)


examples = hub_examples(questions)
