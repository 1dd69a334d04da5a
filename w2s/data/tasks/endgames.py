"""Endgames: four pieces, White to move, and exactly one move mates: which?

The task belongs to the language in `w2s/data/corpora/endgames.py`: it asks what follows `? BOARD |`, and only of boards
that the language sets aside, so that no document of the corpus has one. `pieces` names White's sets of pieces.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from w2s.core.errors import UserError
from w2s.core.params import Corpus, NonEmptyList, Split
from w2s.data.corpora import endgames as language
from w2s.data.corpora._boards import mates
from w2s.data.questions import Example
from w2s.data.tasks import Stream


def examples(
    split: Split,
    corpus: Corpus | None,
    seed: int,
    param_path: str,
    *,
    pieces: NonEmptyList[Literal["KRB", "KRN", "KQB", "KQN", "KQR"]],
) -> Stream:
    """Boards set aside for the task, no two alike, each with its one mating move; ends when no new ones turn up."""
    if corpus is None:
        raise UserError(f"{param_path}.corpus is missing: endgames are written in a language of `corpora`")
    source = {"generated": "w2s/data/tasks/endgames.py", "corpus": corpus.model_dump(), "seed": seed}
    return Stream(source, _examples(seed, pieces))


def _examples(seed: int, pieces: Sequence[str]) -> Iterator[Example]:
    rng = language.CounterRNG(f"endgames/task/{'+'.join(pieces)}/{seed}")
    seen: set[str] = set()
    count_before = -1
    while count_before < len(seen):
        count_before = len(seen)
        kinds, squares = language.sample_boards(pieces, rng)
        moves = mates(kinds, squares)
        moves = moves.where(np.bincount(moves.board)[moves.board] == 1)
        answers = language.to_texts(language.move_words(kinds, moves))
        kinds = kinds[moves.board]
        squares = squares[moves.board]
        boards = language.to_texts(language.board_words(kinds, squares))
        ids = language.board_ids(kinds, squares, seed)
        for key, board, answer in zip(ids, boards, answers, strict=True):
            if language.is_set_aside(key) and key not in seen:
                seen.add(key)
                yield Example({"text": f"? {board} |"}, answer, group=key, id=key)
