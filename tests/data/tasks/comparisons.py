"""Fixtures of the data sets that are not yes/no questions: pairs of dialogues, and chess puzzles."""

import random

import chess

from tests.data.tasks.writer import Fixture, Row, Writer, columns

FIXTURES: dict[str, Fixture] = {}


def _hh_rlhf(writer: Writer, index: int) -> Row:
    """Conversations of one or two turns; three rows share a first question, and some have nothing to tell apart."""
    prompt = f"\n\nHuman: {writer.shared(index, 3, 'sentence')}\n\nAssistant:"
    if index % 3:
        prompt += f" {writer.shared(index, 3, 'clause')}\n\nHuman: {writer.sentence()}\n\nAssistant:"
    one, two = writer.several(writer.sentence, 2)
    if index % 4 == 0:  # the same first words
        one, two = f"The {one}", f"The {two}"
    return {"chosen": f"{prompt} {one}", "rejected": f"{prompt} {one if index % 50 == 7 else two}"}


FIXTURES["hh_rlhf_helpful"] = FIXTURES["hh_rlhf_harmless"] = Fixture(
    columns(chosen="string", rejected="string"),
    _hh_rlhf,
    lambda row: [{"chosen": row["rejected"], "rejected": row["chosen"]}],
)


def played(rng: random.Random, plies: int) -> chess.Board:
    """A position after random moves, with some left."""
    while True:
        board = chess.Board()
        while board.ply() < plies and any(board.legal_moves):
            board.push(rng.choice(list(board.legal_moves)))
        if board.legal_moves.count() > 3:
            return board


def _lichess(writer: Writer, index: int) -> Row:
    """Any legal moves; two puzzles are from one game."""
    board, game, moves = played(writer.rng, writer.pick(range(6, 40))), index // 2, []
    fen = board.fen()
    while len(moves) < 2 or (len(moves) < 4 and any(board.legal_moves)):
        if not any(board.legal_moves):
            return _lichess(writer, index)
        moves.append(writer.pick(board.legal_moves))
        board.push(moves[-1])
    return {
        "PuzzleId": f"x{index:04}",
        "FEN": fen,
        "Moves": " ".join(move.uci() for move in moves),
        "Rating": writer.pick(range(400, 3000)),
        "RatingDeviation": writer.pick(range(70, 120)),
        "Popularity": writer.pick(range(-100, 101)),
        "NbPlays": writer.pick(range(1000)),
        "Themes": "advantage middlegame short",
        "GameUrl": f"https://lichess.org/Game{game:04}" + ("/black" if index % 2 else "") + f"#{31 + index % 9}",
        "OpeningTags": "" if index % 3 else "Kings_Pawn_Game Kings_Pawn_Game_Leonardis_Variation",
    }


FIXTURES["lichess"] = Fixture(
    columns(
        **dict.fromkeys(["PuzzleId", "FEN", "Moves"], "string"),
        **dict.fromkeys(["Rating", "RatingDeviation", "Popularity", "NbPlays"], "int64"),
        **dict.fromkeys(["Themes", "GameUrl", "OpeningTags"], "string"),
    ),
    _lichess,
    lambda row: [],
)
