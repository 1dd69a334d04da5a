"""Lichess puzzles: what is the best move in a position from people's games? (database.lichess.org, CC0).

A row's first move is the opponent's; the question is the one after it. The paper shows the moves of the whole game,
which this data set does not have: here a position is shown as a PGN file would begin with it, FEN tag and number of the
move. Where several moves mate at once a puzzle has several answers and is left out. Puzzles of one game are a group.
The data set has one split: all parts are drawn from it.
"""

from collections.abc import Iterator
from typing import Literal
from urllib.parse import urlsplit

import chess

from w2s.core.errors import UserError
from w2s.core.params import Corpus, NonEmptyList, Split, Word
from w2s.data.questions import Origin, Puzzle
from w2s.data.reading import HubFiles, read_hub
from w2s.data.sources import Row
from w2s.data.tasks import Stream

Notation = Literal["uci", "san"]


def examples(
    split: Split,
    corpus: Corpus | None,
    seed: int,
    param_path: str,
    *,
    repository: Word,
    revision: Word,
    train: Word | NonEmptyList[Word],
    notation: Notation,
    rating_min: int,
    rating_max: int,
) -> Stream:
    """Puzzles with a rating in this range, bounds included; the answer reads as `e2e4` (uci) or as in PGN (san)."""
    if rating_min > rating_max:
        raise UserError(f"{param_path}.rating_min: {rating_min} is above rating_max, {rating_max}")

    def rated(row: Row) -> Iterator[Puzzle]:
        return questions(row, notation) if rating_min <= row["Rating"] <= rating_max else iter(())

    files = HubFiles(repository, revision, {Origin.ANY: train})
    return read_hub(rated, files, seed, param_path)


def questions(row: Row, notation: Notation) -> Iterator[Puzzle]:
    """One position and its best move; further moves of the solution are left out."""
    board = chess.Board(row["FEN"])
    opponents_move, best_move, *_ = row["Moves"].split()
    board.push(board.parse_uci(opponents_move))
    move = board.parse_uci(best_move)
    mates = mating_moves(board)
    if move not in mates or len(mates) == 1:
        number = f"{board.fullmove_number}{'.' if board.turn else '...'}"
        text = f'[FEN "{board.fen()}"]\n\n{number}'
        answer = move.uci() if notation == "uci" else board.san(move)
        game = urlsplit(row["GameUrl"]).path.split("/")[1]
        yield Puzzle(text, answer, group=game, id=row["PuzzleId"])


def mating_moves(board: chess.Board) -> list[chess.Move]:
    """All moves that mate at once."""
    return [move for move in board.legal_moves if board.gives_check(move) and _mates(board, move)]


def _mates(board: chess.Board, move: chess.Move) -> bool:
    board.push(move)
    is_mate = board.is_checkmate()
    board.pop()
    return is_mate
