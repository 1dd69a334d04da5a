"""Endgames: four pieces, White to move, and exactly one move mates: which?

The task asks what follows `? BOARD |`, and only of boards that its language sets aside: no document has one.
"""

from collections.abc import Iterator

import numpy as np

from w2s.core.errors import UserError
from w2s.core.params import Corpus, Split
from w2s.data.corpora._boards import mates
from w2s.data.corpora.endgames import Dice, board, drawn, move, names, said, set_aside
from w2s.data.tasks import Example, Stream


def examples(split: Split, corpus: Corpus | None, where: str) -> Stream:
    """Boards set aside for the task, no two alike, each with its one mating move; ends when no new ones turn up."""
    if corpus is None:
        raise UserError(f"{where}.corpus is missing: endgames are written in a language of `corpora`")
    return Stream({"generated": "w2s/data/tasks/endgames.py", "corpus": corpus.model_dump()}, _examples(split, corpus))


def _examples(split: Split, corpus: Corpus) -> Iterator[Example]:
    dice = Dice(f"endgames/task/{corpus.seed}/{split.seed}")
    seen: set[str] = set()
    known = -1
    while known < len(seen):
        known = len(seen)
        kinds, squares = drawn(dice)
        moves = mates(kinds, squares)
        moves = moves.where(np.bincount(moves.board)[moves.board] == 1)
        answers, kinds, squares = said(move(kinds, moves)), kinds[moves.board], squares[moves.board]
        keys, boards = names(kinds, squares, corpus), said(board(kinds, squares))
        for key, shown, answer in zip(keys, boards, answers, strict=True):
            if set_aside(key) and key not in seen:
                seen.add(key)
                yield Example(key, {"text": f"? {shown} |"}, key, answer)
