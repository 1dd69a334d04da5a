"""Endgames: boards of four pieces, White to move, and what moves on them do.

White's king, a queen or rook, and a bishop or knight face a bare king. A document is a header, a board, the move that
someone played, and two moves tried, each with a mark that says what it does: check, mate or neither. Headers e1 to e4
tell how often the player finds the mate; behind `?` is always the weakest. Boards that turn or mirror into one another
count as one; a quarter of them is set aside for tasks, and documents have none of these.

Randomness is SHAKE-256 of named purposes, and all arithmetic in integers: the same bits on every platform and version.
"""

import hashlib
from collections.abc import Iterator

import numpy as np

from w2s.core.params import Corpus
from w2s.data.corpora import _boards
from w2s.data.corpora._boards import FILE, KINDS, RANK, Moves

SETS = np.array([[KINDS.index(kind) for kind in kinds] for kinds in ("KRB", "KRN", "KQB", "KQN")])
EDGE = np.flatnonzero((FILE % 7 == 0) | (RANK % 7 == 0))
BLOCK = 16384  # boards drawn at a time
FINDS = np.array([5, 35, 65, 95, 5])  # per cent of mates that the player behind each header finds
UNKNOWN = 30  # per cent of documents with the header `?`
PUZZLES = 4  # to one board without a mate
CHECKS = 11  # times as likely as another move, a check that does not mate is tried
SET_ASIDE = 64  # boards in 256

HEADERS, MARKS = ["e1", "e2", "e3", "e4", "?"], [".", "+", "#"]
WORDS = np.array([*HEADERS, *MARKS, "|", *KINDS, "k", *(f"s{square}" for square in range(64))])
HEADER, MARK, BAR, PIECE, BLACK, SQUARE = 0, 5, 8, 9, 14, 15  # where each kind of word begins


class Dice:
    """An endless stream of integers for one purpose."""

    def __init__(self, purpose: str) -> None:
        self.purpose, self.calls = purpose, 0

    def below(self, limit: int | np.ndarray, count: int) -> np.ndarray:
        """`count` integers from 0 to below `limit`, which is far below 2³²."""
        self.calls += 1
        content = hashlib.shake_256(f"{self.purpose}/{self.calls}".encode()).digest(4 * count)
        return np.frombuffer(content, "<u4").astype(np.int64) % limit


def documents(corpus: Corpus) -> Iterator[str]:
    """The corpus, `corpus.documents` long."""
    dice, left = Dice(f"endgames/corpus/{corpus.seed}"), corpus.documents
    while left > 0:
        kinds, squares = drawn(dice)
        mates = np.bincount(_boards.mates(kinds, squares).board, minlength=len(kinds))
        (puzzles,) = np.nonzero(mates == 1)
        puzzles = puzzles[[not set_aside(name) for name in names(kinds[puzzles], squares[puzzles], corpus)]]
        others = np.flatnonzero(mates == 0)[: len(puzzles) // PUZZLES]
        chosen = np.sort(np.concatenate([puzzles, others]))[:left]
        left -= len(chosen)
        yield from said(_told(kinds[chosen], squares[chosen], dice))


def vocabulary(corpus: Corpus) -> list[str]:
    """Every word of the language, in a fixed order."""
    return WORDS.tolist()


def drawn(dice: Dice) -> tuple[np.ndarray, np.ndarray]:
    """Possible boards: Black's king mostly on the edge, White's mostly near it, the rest anywhere."""
    kinds, squares = SETS[dice.below(len(SETS), BLOCK)], np.stack([dice.below(64, BLOCK) for _ in range(4)], axis=1)
    edge = EDGE[dice.below(len(EDGE), BLOCK)]
    squares[:, 3] = king = np.where(dice.below(10, BLOCK) < 8, edge, squares[:, 3])
    near = dice.below(10, BLOCK) < 7
    file, rank = (along[king] + dice.below(7, BLOCK) - 3 for along in (FILE, RANK))
    squares[:, 0] = np.where(near, np.clip(8 * rank + file, 0, 63), squares[:, 0])
    off = near & ((file < 0) | (file > 7) | (rank < 0) | (rank > 7))
    sound = ~off & _boards.possible(kinds, squares)
    return kinds[sound], squares[sound]


def names(kinds: np.ndarray, squares: np.ndarray, corpus: Corpus) -> list[str]:
    """A name for each board and all that turn or mirror into it."""
    keys = (f"{corpus.seed}/{number}" for number in _boards.canonical(kinds, squares).tolist())
    return [hashlib.sha256(key.encode()).hexdigest()[:16] for key in keys]


def set_aside(name: str) -> bool:
    """Whether a board is for tasks only."""
    return int(name[:2], 16) < SET_ASIDE


def _told(kinds: np.ndarray, squares: np.ndarray, dice: Dice) -> np.ndarray:
    """A document for each board, as words by their places [n, 19]."""
    count, moves = len(kinds), _boards.legal(kinds, squares)
    check, mate = _boards.effects(kinds, squares, moves)
    marks = MARK + np.where(mate, 2, np.where(check, 1, 0))
    up_to = np.cumsum(np.where(check & ~mate, CHECKS, 1))
    last = np.cumsum(np.bincount(moves.board, minlength=count)) - 1
    start = np.concatenate([[0], up_to[last][:-1]])

    def tried() -> np.ndarray:
        """One move of each board, by its place among all moves."""
        return np.searchsorted(up_to, start + dice.below(up_to[last] - start, count), side="right")

    header = np.where(dice.below(100, count) < UNKNOWN, 4, dice.below(4, count))
    mating = np.full(count, -1)
    mating[moves.board[mate]] = np.flatnonzero(mate)
    finds = (mating >= 0) & (dice.below(100, count) < FINDS[header])
    told = [HEADER + header[:, None], board(kinds, squares), np.full((count, 1), BAR)]
    for place in (np.where(finds, mating, tried()), tried(), tried()):
        told += [move(kinds, moves.where(place)), marks[place][:, None]]
    return np.concatenate(told, axis=1)


def board(kinds: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Pieces and their squares as words [n, 8]."""
    pieces = np.concatenate([PIECE + kinds, np.full((len(kinds), 1), BLACK)], axis=1)
    return np.stack([pieces, SQUARE + squares], axis=2).reshape(-1, 8)


def move(kinds: np.ndarray, moves: Moves) -> np.ndarray:
    """Moves on these boards as words [n, 2]."""
    return np.stack([PIECE + kinds[moves.board, moves.piece], SQUARE + moves.target], axis=1)


def said(words: np.ndarray) -> list[str]:
    """Texts [n] of words by their places."""
    return [" ".join(row) for row in WORDS[words].tolist()]
