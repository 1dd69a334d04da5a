"""Endgames: a generated language of chess boards with four pieces, White to move, and the effects of moves on them.

White's king, a queen or rook, and another piece face a bare king. A document is a header, a board, the move of a
player, and two other moves, each with a mark of its effect: check, mate or neither. Headers e1 to e4 tell how often the
player finds the mate; the player behind `?` is always as weak as e1. Boards that turn or mirror into one another count
as one; a quarter of them is set aside for the task in `w2s/data/tasks/endgames.py`, and documents have none of these.

Randomness is SHAKE-256 of named purposes, and all arithmetic in integers: the same bits on every platform and version.
"""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from w2s.core.params import Corpus
from w2s.data.corpora import _boards
from w2s.data.corpora._boards import FILE, KINDS, RANK, Moves

PIECE_SETS = ("KRB", "KRN", "KQB", "KQN", "KQR")
EDGE = np.flatnonzero((FILE % 7 == 0) | (RANK % 7 == 0))
# Boards drawn at a time.
BLOCK = 16384
# Per cent of mates that the player behind each header finds.
FIND_PERCENT = np.array([5, 35, 65, 95, 5])
# Per cent of documents with the header `?`.
UNKNOWN_PERCENT = 30
# Boards with one mate to each board without.
PUZZLES = 4
# A check that does not mate is this many times as likely to be played as another move.
CHECK_WEIGHT = 11
# Of 256 boards, those set aside for tasks.
SET_ASIDE = 64

HEADERS = ["e1", "e2", "e3", "e4", "?"]
MARKS = [".", "+", "#"]
WORDS = np.array([*HEADERS, *MARKS, "|", *KINDS, "k", *(f"s{square}" for square in range(64))])
# Where each kind of word begins in WORDS.
HEADER, MARK, BAR, PIECE, BLACK, SQUARE = 0, 5, 8, 9, 14, 15


class CounterRNG:
    """A stream of random integers for one named purpose: the digest of the purpose and a counter of calls."""

    def __init__(self, purpose: str) -> None:
        self.purpose = purpose
        self.calls = 0

    def below(self, limit: int | np.ndarray, count: int) -> np.ndarray:
        """`count` integers from 0 to below `limit`, which is far below 2³²."""
        self.calls += 1
        content = hashlib.shake_256(f"{self.purpose}/{self.calls}".encode()).digest(4 * count)
        return np.frombuffer(content, "<u4").astype(np.int64) % limit


def documents(corpus: Corpus, seed: int) -> Iterator[str]:
    """The corpus, `corpus.documents` long."""
    rng = CounterRNG(f"endgames/corpus/{seed}")
    missing = corpus.documents
    while missing > 0:
        kinds, squares = sample_boards(PIECE_SETS, rng)
        mate_counts = np.bincount(_boards.mates(kinds, squares).board, minlength=len(kinds))
        (puzzles,) = np.nonzero(mate_counts == 1)
        ids = board_ids(kinds[puzzles], squares[puzzles], seed)
        puzzles = puzzles[[not is_set_aside(board_id) for board_id in ids]]
        others = np.flatnonzero(mate_counts == 0)[: len(puzzles) // PUZZLES]
        chosen = np.sort(np.concatenate([puzzles, others]))[:missing]
        missing -= len(chosen)
        yield from to_texts(_document_words(kinds[chosen], squares[chosen], rng))


def vocabulary(corpus: Corpus, seed: int) -> list[str]:
    """Every word of the language, in a fixed order."""
    return WORDS.tolist()


def sample_boards(piece_sets: Sequence[str], rng: CounterRNG) -> tuple[np.ndarray, np.ndarray]:
    """Possible boards of these white pieces: kinds [boards, 3] and squares [boards, 4], as in `_boards`.

    Black's king is mostly on the edge, White's mostly near it, the rest anywhere.
    """
    sets = np.array([[KINDS.index(kind) for kind in pieces] for pieces in piece_sets])
    kinds = sets[rng.below(len(sets), BLOCK)]
    squares = np.stack([rng.below(64, BLOCK) for _ in range(4)], axis=1)
    edge = EDGE[rng.below(len(EDGE), BLOCK)]
    black = np.where(rng.below(10, BLOCK) < 8, edge, squares[:, 3])
    squares[:, 3] = black
    near = rng.below(10, BLOCK) < 7
    file = FILE[black] + rng.below(7, BLOCK) - 3
    rank = RANK[black] + rng.below(7, BLOCK) - 3
    squares[:, 0] = np.where(near, np.clip(8 * rank + file, 0, 63), squares[:, 0])
    off_board = near & ((file < 0) | (file > 7) | (rank < 0) | (rank > 7))
    sound = ~off_board & _boards.possible(kinds, squares)
    return kinds[sound], squares[sound]


def board_ids(kinds: np.ndarray, squares: np.ndarray, seed: int) -> list[str]:
    """An id for each board and all that turn or mirror into it."""
    keys = (f"{seed}/{number}" for number in _boards.canonical(kinds, squares).tolist())
    return [hashlib.sha256(key.encode()).hexdigest()[:16] for key in keys]


def is_set_aside(board_id: str) -> bool:
    """Whether a board is for tasks only."""
    return int(board_id[:2], 16) < SET_ASIDE


def _document_words(kinds: np.ndarray, squares: np.ndarray, rng: CounterRNG) -> np.ndarray:
    """A document for each board, as indices of words [boards, 19]."""
    count = len(kinds)
    moves = _boards.legal(kinds, squares)
    check, mate = _boards.effects(kinds, squares, moves)
    marks = MARK + np.where(mate, 2, np.where(check, 1, 0))
    cumulative = np.cumsum(np.where(check & ~mate, CHECK_WEIGHT, 1))
    last = np.cumsum(np.bincount(moves.board, minlength=count)) - 1
    start = np.concatenate([[0], cumulative[last][:-1]])

    def sample_moves() -> np.ndarray:
        """One move of each board, by its index among all moves."""
        return np.searchsorted(cumulative, start + rng.below(cumulative[last] - start, count), side="right")

    header = np.where(rng.below(100, count) < UNKNOWN_PERCENT, 4, rng.below(4, count))
    mating = np.full(count, -1)
    mating[moves.board[mate]] = np.flatnonzero(mate)
    finds_mate = (mating >= 0) & (rng.below(100, count) < FIND_PERCENT[header])
    words = [HEADER + header[:, None], board_words(kinds, squares), np.full((count, 1), BAR)]
    played = np.where(finds_mate, mating, sample_moves())
    for index in (played, sample_moves(), sample_moves()):
        words += [move_words(kinds, moves.where(index)), marks[index][:, None]]
    return np.concatenate(words, axis=1)


def board_words(kinds: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Pieces and their squares, as indices of words [boards, 8]."""
    pieces = np.concatenate([PIECE + kinds, np.full((len(kinds), 1), BLACK)], axis=1)
    return np.stack([pieces, SQUARE + squares], axis=2).reshape(-1, 8)


def move_words(kinds: np.ndarray, moves: Moves) -> np.ndarray:
    """Moves on these boards, as indices of words [moves, 2]."""
    return np.stack([PIECE + kinds[moves.board, moves.piece], SQUARE + moves.target], axis=1)


def to_texts(words: np.ndarray) -> list[str]:
    """Texts [rows] of indices of words [rows, words]."""
    return [" ".join(row) for row in WORDS[words].tolist()]
