"""Endgames: every label and every mark is what python-chess says; the task's boards are never in the corpus."""

import hashlib
import itertools
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence

import chess
import numpy as np
import pytest

from w2s.core.errors import UserError
from w2s.core.params import Corpus, Split
from w2s.data.corpora import _boards, language
from w2s.data.corpora import endgames as written
from w2s.data.questions import Example
from w2s.data.split import divide
from w2s.data.tasks import endgames

SPLIT = Split(supervisor=2, student=2, validation=2, test=2)
DOCUMENTS_SHA = "668eea83c31a4697e0d751f6eb45bd32e947cc232650b539eb357518dbbf16ca"
EXAMPLES_SHA = "14dd12d60e020d604f7cd6de689ff142c29c7b48ca2d41797ebdec139d6c5848"
MARKS = {".": (False, False), "+": (True, False), "#": (True, True)}  # check, mate


def corpus(documents: int = 3000) -> Corpus:
    return Corpus(family="endgames", documents=documents)


def drawn(count: int, language: Corpus, seed: int = 0, pieces: Sequence[str] = written.PIECE_SETS) -> list[Example]:
    return list(itertools.islice(endgames.examples(SPLIT, language, seed, "here", pieces=[*pieces]), count))


def read(words: list[str]) -> chess.Board:
    """A board from its eight words, as python-chess sees it."""
    board = chess.Board(None)
    for letter, square in zip(words[::2], words[1::2], strict=True):
        assert board.piece_at(int(square[1:])) is None
        board.set_piece_at(int(square[1:]), chess.Piece.from_symbol(letter))
    assert [words[0], words[6]] == ["K", "k"]
    assert board.is_valid()
    return board


def moved(board: chess.Board, words: list[str]) -> chess.Move:
    """A move from its two words; it is legal."""
    (start,) = board.pieces(chess.PIECE_SYMBOLS.index(words[0].lower()), chess.WHITE)
    move = chess.Move(start, int(words[1][1:]))
    assert move in board.legal_moves
    return move


def mating(board: chess.Board) -> list[chess.Move]:
    found = []
    for move in board.legal_moves:
        board.push(move)
        found += [move] if board.is_checkmate() else []
        board.pop()
    return found


@pytest.mark.parametrize("seed", [0, 1])
def test_the_answer_is_the_only_mate(seed: int) -> None:
    examples = drawn(1500, corpus(), seed)
    for example in examples:
        header, *words, bar = example.inputs["text"].split()
        board = read(words)
        assert (header, bar) == ("?", "|")
        assert mating(board) == [moved(board, example.answer.split())]
    assert {example.answer.split()[0] for example in examples} >= {"Q", "R", "B", "N"}


def test_a_task_has_the_pieces_it_names() -> None:
    for pieces in ("KQR", "KRN"):
        boards = [example.inputs["text"].split()[1:7:2] for example in drawn(300, corpus(), pieces=[pieces])]
        assert {"".join(board) for board in boards} == {pieces}


def test_every_board_has_all_its_legal_moves() -> None:
    rng = written.CounterRNG("test")
    kinds, squares = (column[:700] for column in written.sample_boards(written.PIECE_SETS, rng))
    moves = _boards.legal(kinds, squares)
    check, mate = _boards.effects(kinds, squares, moves)
    mates = _boards.mates(kinds, squares)
    for number, words in enumerate(written.to_texts(written.board_words(kinds, squares))):
        board, found = read(words.split()), {}
        for move in list(board.legal_moves):
            board.push(move)
            found[move.from_square, move.to_square] = board.is_check(), board.is_checkmate()
            board.pop()
        (mine,) = np.nonzero(moves.board == number)
        rows = zip(moves.piece[mine], moves.target[mine], check[mine], mate[mine], strict=True)
        assert {(squares[number, piece], target): (c, m) for piece, target, c, m in rows} == found
        assert (mates.board == number).sum() == sum(m for _, m in found.values())


def test_every_document_tells_the_truth() -> None:
    for document in written.documents(corpus(documents=1000), 0):
        words = document.split()
        board = read(words[1:9])
        assert words[0] in written.HEADERS
        assert (words[9], len(words)) == ("|", 19)
        assert len(mating(board)) < 2
        for start in (10, 13, 16):
            board.push(moved(board, words[start : start + 2]))
            assert MARKS[words[start + 2]] == (board.is_check(), board.is_checkmate()), document
            board.pop()


@pytest.mark.slow
def test_headers_tell_how_often_the_mate_is_found() -> None:
    documents = [document.split() for document in written.documents(corpus(documents=30_000), 0)]
    found, count = Counter(words[0] for words in documents if words[12] == "#"), Counter(w[0] for w in documents)
    shares = {header: found[header] / count[header] for header in written.HEADERS}
    assert shares["e1"] + 0.1 < shares["e2"] < shares["e3"] - 0.1 < shares["e4"] - 0.2
    assert shares["?"] == pytest.approx(shares["e1"], abs=0.03)
    assert count["?"] / 30_000 == pytest.approx(0.3, abs=0.02)


def classes(boards: list[list[str]]) -> set[frozenset[str]]:
    """Each board as the set of those it turns and mirrors into, by python-chess."""
    found = set()
    for words in boards:
        alike = [read(words)]
        for turn in (chess.flip_vertical, chess.flip_horizontal, chess.flip_diagonal):
            alike += [board.transform(turn) for board in alike]
        found.add(frozenset(board.board_fen() for board in alike))
    return found


@pytest.mark.slow
def test_no_board_of_the_task_is_in_the_corpus_or_twice_even_turned_or_mirrored() -> None:
    large = corpus(documents=20_000)
    examples = drawn(1500, large)
    asked = classes([example.inputs["text"].split()[1:9] for example in examples])
    assert len(asked) == 1500
    shown = {read(document.split()[1:9]).board_fen() for document in written.documents(large, 0)}
    assert all(shown.isdisjoint(alike) for alike in asked)
    assert len(shown) > 18_000


def test_a_board_has_one_name_however_it_is_turned() -> None:
    kinds, squares = written.sample_boards(written.PIECE_SETS, written.CounterRNG("turn"))
    names = _boards.canonical(kinds, squares)
    for turn in _boards.SYMMETRIES:
        assert np.array_equal(_boards.canonical(kinds, turn[squares]), names)
    boards = [words.split() for words in written.to_texts(written.board_words(kinds[:400], squares[:400]))]
    assert len(classes(boards)) == len(set(names[:400].tolist()))


def test_parts_share_no_board() -> None:
    split = Split(supervisor=200, student=200, validation=40, test=300)
    parts = divide(endgames.examples(split, corpus(), 3, "here", pieces=["KRB", "KQN"]), split, "here")
    assert [len(part) for part in parts.values()] == [200, 200, 40, 300]
    boards = [classes([example.inputs["text"].split()[1:9] for example in part]) for part in parts.values()]
    assert all(one.isdisjoint(two) for one, two in itertools.combinations(boards, 2))


def digests() -> list[str]:
    examples = (f"{e.id} {e.inputs['text']} {e.group} {e.answer}" for e in drawn(1000, corpus()))
    texts = ["\n".join(written.documents(corpus(documents=1000), 0)), "\n".join(examples)]
    return [hashlib.sha256(text.encode()).hexdigest() for text in texts]


def test_the_bits_are_pinned_whatever_the_process() -> None:
    assert digests() == [DOCUMENTS_SHA, EXAMPLES_SHA]
    command = [sys.executable, "-c", "from tests.data.tasks.test_endgames import digests; print(*digests())"]
    env = os.environ | {"PYTHONHASHSEED": "4711"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [DOCUMENTS_SHA, EXAMPLES_SHA]


def test_seeds_draw_other_boards() -> None:
    one, two = ({example.id for example in drawn(1000, corpus(), seed)} for seed in (0, 1))
    assert len(one & two) < 200
    assert list(written.documents(corpus(50), 0)) != list(written.documents(corpus(50), 1))


def test_the_corpus_is_as_long_as_asked() -> None:
    long = list(written.documents(corpus(documents=1500), 0))
    assert len(long) == 1500
    assert list(written.documents(corpus(documents=700), 0))[:600] == long[:600]


def test_the_vocabulary_has_every_word_once() -> None:
    words = written.vocabulary(corpus(), 0)
    assert len(words) == len(set(words)) == 79
    assert {word for text in written.documents(corpus(), 0) for word in text.split()} <= set(words)
    assert {word for e in drawn(1000, corpus()) for word in f"{e.inputs['text']} {e.answer}".split()} <= set(words)


def test_the_stream_ends_when_nothing_new_turns_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(written, "SET_ASIDE", 1)  # in 256, where the task has 64
    examples = drawn(10**9, corpus())
    assert len({example.id for example in examples}) == len(examples) < 400


def test_the_rules_are_no_language() -> None:
    assert language("endgames", "here") is written
    with pytest.raises(UserError, match=r"^here: unknown name '_boards' \(known: endgames, reviews\)"):
        language("_boards", "here")


def test_a_language_is_needed() -> None:
    with pytest.raises(UserError, match=r"^here\.corpus is missing: endgames are written in a language"):
        endgames.examples(SPLIT, None, 0, "here", pieces=["KQR"])
