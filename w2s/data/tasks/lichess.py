"""Lichess puzzles: what is the best move in a position from people's games? (database.lichess.org, CC0).

A row's first move is the opponent's; asked is the one after it. The paper shows the moves of the whole game, which this
data set does not have: here a position stands as a PGN file would begin with it, FEN tag and number of the move. Where
several moves mate at once a puzzle has several answers and is left out. Puzzles of one game are a group. The one public
split holds everything: all parts are drawn from it.
"""

from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlsplit

import chess

from w2s.core.errors import UserError
from w2s.core.params import Corpus, NonEmptyList, Split, Word
from w2s.data.sources import Row
from w2s.data.tasks import Puzzle, Stream, hub_stream

Notation = Literal["uci", "san"]


def examples(
    split: Split,
    corpus: Corpus | None,
    where: str,
    *,
    repository: Word,
    revision: Word,
    train: Word | NonEmptyList[Word],
    notation: Notation = "san",
    rating_min: int = 0,
    rating_max: int = 4000,
) -> Stream:
    """Puzzles with a rating in this range; the answer is as `e2e4` or as in PGN."""
    if rating_min > rating_max:
        raise UserError(f"{where}.rating_min: {rating_min} is above rating_max, {rating_max}")

    def rated(row: Row) -> Iterator[Puzzle]:
        return questions(row, notation) if rating_min <= row["Rating"] <= rating_max else iter(())

    return hub_stream(rated, split, where, repository, revision, {None: train})


def questions(row: Row, notation: Notation) -> Iterator[Puzzle]:
    """One position; further moves of the solution are not asked."""
    board, (theirs, best, *_) = chess.Board(row["FEN"]), row["Moves"].split()
    board.push(board.parse_uci(theirs))
    move, mates = board.parse_uci(best), mating(board)
    text = f'[FEN "{board.fen()}"]\n\n{board.fullmove_number}{"." if board.turn else "..."}'
    if move not in mates or len(mates) == 1:
        game = urlsplit(row["GameUrl"]).path.split("/")[1]
        yield Puzzle(text, move.uci() if notation == "uci" else board.san(move), group=game, id=row["PuzzleId"])


def mating(board: chess.Board) -> list[chess.Move]:
    """All moves that mate at once."""
    return [move for move in board.legal_moves if board.gives_check(move) and _mates(board, move)]


def _mates(board: chess.Board, move: chess.Move) -> bool:
    board.push(move)
    over = board.is_checkmate()
    board.pop()
    return over
