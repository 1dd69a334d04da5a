"""Data sets that are not yes/no questions, and what all pairs and puzzles have in common."""

import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chess
import pytest

from tests.data.tasks.comparisons import FIXTURES, played
from tests.data.tasks.fixtures import fill
from tests.data.tasks.writer import Fixture, Row
from w2s.core.checks import load
from w2s.core.errors import UserError
from w2s.core.params import Split, Task
from w2s.core.validation import options_of
from w2s.data import tasks
from w2s.data.questions import Example, Origin, Pair, Puzzle
from w2s.data.split import divide
from w2s.data.tasks import hh_rlhf, lichess

SPLIT = Split(supervisor=40, student=40, validation=10, test=40)
ROWS = 240

Read = Callable[..., list[Example]]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """The examples of a task whose files in the hub cache hold a fixture's rows."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    def examples(name: str, fixture: Fixture | None = None, seed: int = 0, **options: Any) -> list[Example]:
        entry, param_path = load().tasks[name], f"params.yaml: tasks.{name}"
        fill(tmp_path, name, entry, ROWS, fixture)
        family = tasks.family(entry.family, param_path)
        entry = Task(**entry.model_dump() | options)
        return list(family.examples(SPLIT, None, seed, param_path, **options_of(family.examples, entry, param_path)))

    return examples


def rows_of(name: str, change: Callable[[Row], Row]) -> Fixture:
    fixture = FIXTURES[name]
    return Fixture(fixture.schema, lambda writer, index: change(fixture.row(writer, index)), fixture.swaps)


def near(count: int, total: int) -> bool:
    """A fair coin, within four standard errors."""
    return abs(count - total / 2) < 2 * total**0.5


@pytest.mark.slow
@pytest.mark.parametrize("name", FIXTURES)
def test_parts_share_no_group_and_the_seed_alone_decides(name: str, read: Read) -> None:
    examples = read(name)
    assert len(examples) > 0.9 * ROWS
    assert len({example.id for example in examples}) == len(examples)
    parts = divide(examples, SPLIT, name)
    groups = [{example.group for example in part} for part in parts.values()]
    assert all(one.isdisjoint(two) for one, two in itertools.combinations(groups, 2))
    assert [len(part) for part in parts.values()] == [40, 40, 10, 40]
    assert read(name) == examples
    other = read(name, seed=1)
    assert [example.id for example in other] != [example.id for example in examples]
    assert {example.id for example in other} == {example.id for example in examples}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hh_rlhf_helpful", "hh_rlhf_harmless"])
def test_the_order_of_a_pair_does_not_predict_which_is_better(name: str, read: Read) -> None:
    examples = read(name)
    assert near(sum(example.answer for example in examples), len(examples))
    better = {row["chosen"].strip() for split in ("test", "train") for row in _rows(name, split)}
    for example in examples:
        chosen, rejected = ("first", "second") if example.answer else ("second", "first")
        assert example.inputs[chosen] in better
        assert example.inputs[rejected] not in better
    tested = [example.origin is Origin.TEST for example in examples]
    assert {example.origin for example in examples} == {Origin.TRAIN, Origin.TEST}
    assert tested == sorted(tested, reverse=True)


def _rows(name: str, split: str) -> list[Row]:
    return FIXTURES[name].rows(f"{split} {load().tasks[name].options[split]}", ROWS)


def test_a_pair_is_known_in_either_order_and_drawn_in_both() -> None:
    rng = random.Random(0)
    drawn = [item for _ in range(400) for item in Pair("good", "bad", "g").examples(rng)]
    assert {(item.inputs["first"], item.answer) for item in drawn} == {("good", True), ("bad", False)}
    assert near(sum(item.answer for item in drawn), 400)
    assert Pair("same ", "same", "g").examples(rng) == []


def test_pairs_that_are_alike_are_left_out(read: Read) -> None:
    alike = [row for row in _rows("hh_rlhf_helpful", "train") if row["chosen"] == row["rejected"]]
    assert alike
    texts = {text for example in read("hh_rlhf_helpful") for text in example.inputs.values()}
    assert texts.isdisjoint(row["chosen"].strip() for row in alike)


@pytest.mark.parametrize(
    ("chosen", "rejected", "group"),
    [
        ("\n\nHuman: Hi\n\nAssistant: Yes", "\n\nHuman: Hi\n\nAssistant: No", "\n\nHuman: Hi"),
        (
            "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: The d",
            "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant: The e",
            "\n\nHuman: a",
        ),
        ("\n\nHuman: a\n\nAssistant: x", "\n\nHuman: a\n\nAssistant:", "\n\nHuman: a"),
        ("\n\nHuman: a\n\nAssistant: x", "\n\nHuman: b\n\nAssistant: x", None),
        ("\n\nHuman: a\n\nAssistant: x", "\n\nHuman: a and b\n\nAssistant: x", None),
        ("\n\nHuman: a", "\n\nHuman: a and b", None),
    ],
)
def test_pairs_share_a_prompt_and_are_grouped_by_how_it_begins(chosen: str, rejected: str, group: str | None) -> None:
    for row in ({"chosen": chosen, "rejected": rejected}, {"chosen": rejected, "rejected": chosen}):
        assert [pair.group for pair in hh_rlhf.questions(row)] == ([group] if group else [])


def test_turns_of_one_conversation_are_one_group(read: Read) -> None:
    examples = [example for example in read("hh_rlhf_helpful") if example.origin is Origin.TRAIN]
    questions = {example.group: set() for example in examples}
    for example in examples:
        questions[example.group].add(example.inputs["first"].split("\n\nAssistant:")[0])
    assert all(len(first) == 1 for first in questions.values())
    assert len(questions) == ROWS // 3


KNOWN = {  # the sample row of the data set's card
    "PuzzleId": "0009B",
    "FEN": "r2qr1k1/b1p2ppp/pp4n1/P1P1p3/4P1n1/B2P2Pb/3NBP1P/RN1QR1K1 b - - 1 16",
    "Moves": "b6c5 e2g4 h3g4 d1g4",
    "Rating": 1112,
    "GameUrl": "https://lichess.org/4MWQCxQ6/black#31",
}


@pytest.mark.parametrize(("notation", "answer"), [("uci", "e2g4"), ("san", "Bxg4")])
def test_the_opponent_moves_first(notation: lichess.Notation, answer: str) -> None:
    after = "r2qr1k1/b1p2ppp/p5n1/P1p1p3/4P1n1/B2P2Pb/3NBP1P/RN1QR1K1 w - - 0 17"
    (puzzle,) = lichess.questions(KNOWN, notation)
    assert puzzle == Puzzle(f'[FEN "{after}"]\n\n17.', answer, "4MWQCxQ6", "0009B")


def test_black_may_be_to_move() -> None:
    row = KNOWN | {"FEN": "7k/8/8/8/8/8/r7/1q5K w - - 0 40", "Moves": "h1h2 b1b2"}
    with pytest.raises(ValueError, match="illegal"):
        list(lichess.questions(row, "san"))
    row |= {"FEN": "7k/6r1/8/8/8/8/8/6K1 w - - 0 40", "Moves": "g1h2 g7g2"}
    (puzzle,) = lichess.questions(row, "san")
    assert puzzle.text.endswith("\n\n40...")
    assert puzzle.answer == "Rg2+"


@pytest.mark.parametrize("notation", ["uci", "san"])
def test_answers_are_legal_moves_in_the_position_shown(notation: str, read: Read) -> None:
    examples = read("lichess", notation=notation)
    for example in examples:
        fen, _, number = example.inputs["text"].splitlines()
        board = chess.Board(fen.removeprefix('[FEN "').removesuffix('"]'))
        assert board.is_valid()
        assert number == f"{board.fullmove_number}{'.' if board.turn else '...'}"
        board.push_uci(example.answer) if notation == "uci" else board.push_san(example.answer)
        assert example.origin is Origin.ANY
    assert len({example.group for example in examples}) in range(ROWS // 2 - 5, ROWS // 2 + 1)


@pytest.mark.slow
def test_ratings_choose_puzzles(read: Read) -> None:
    rated = {row["PuzzleId"]: row["Rating"] for row in _rows("lichess", "train")}
    found = {example.id for example in read("lichess", rating_min=1000, rating_max=2000)}
    assert found <= {key for key, rating in rated.items() if 1000 <= rating <= 2000}
    assert len(found) > 60
    with pytest.raises(UserError, match=r"tasks\.lichess\.rating_min: 1500 is above rating_max, 1400$"):
        read("lichess", rating_min=1500, rating_max=1400)


def test_puzzles_with_several_mates_are_left_out() -> None:
    row = KNOWN | {"Moves": "h8g8 a1a8 g8h7"}
    assert [p.answer for p in lichess.questions(row | {"FEN": "7k/5ppp/8/8/8/8/8/R5K1 b - - 0 1"}, "san")] == ["Ra8#"]
    assert list(lichess.questions(row | {"FEN": "7k/5ppp/8/8/8/8/8/RR4K1 b - - 0 1"}, "san")) == []


@pytest.mark.slow
def test_mates_are_those_of_the_rules() -> None:
    rng = random.Random(0)
    found = 0
    for _ in range(300):
        board = played(rng, rng.randint(20, 120))
        mates = []
        for move in board.legal_moves:
            board.push(move)
            mates += [move] if board.is_checkmate() else []
            board.pop()
        assert lichess.mating_moves(board) == mates
        found += bool(mates)
    assert found > 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"Moves": "e2e4"}, "not enough values to unpack"),
        ({"Moves": "h1a7 b6c5"}, "illegal"),
        ({"FEN": "nothing"}, "expected"),
        ({"GameUrl": None}, "column 'GameUrl' is empty"),
        ({"Rating": None}, "column 'Rating' is empty"),
    ],
)
def test_a_puzzle_that_is_none_is_an_error(change: Row, told: str, read: Read) -> None:
    with pytest.raises(UserError) as error:
        read("lichess", rows_of("lichess", lambda row: row | change))
    assert str(error.value).startswith("params.yaml: tasks.lichess: ")
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "told"), [({"notation": "pgn"}, "notation: must be 'uci' or 'san'"), ({"test": "x"}, "test: unknown")]
)
def test_wrong_options_are_told(options: dict, told: str, read: Read) -> None:
    with pytest.raises(UserError, match=told):
        read("lichess", **options)


def test_divide_counts_texts_plainly() -> None:
    examples = [Example({"text": str(k)}, f"answer {k % 7}", str(k // 2), str(k)) for k in range(60)]
    parts = divide(examples, Split(supervisor=10, student=10, validation=4, test=6), "here")
    assert [len(part) for part in parts.values()] == [10, 10, 4, 6]
    parts = divide(examples, Split(supervisor=100, student=100, validation=40, test=60), "here")
    assert sum(len(part) for part in parts.values()) == 60
    with pytest.raises(UserError, match=r"^here: too few examples for the split: test wants 6 and got none$"):
        divide(examples[:5], Split(supervisor=10, student=10, validation=4, test=6), "here")


def test_easy_puzzles_are_learned_and_hard_ones_tested(read: Read) -> None:
    """From the same files, so those of `lichess` are put into the cache."""
    read("lichess")
    entry = load().tasks["lichess-easy-to-hard"]
    family = tasks.family(entry.family, "here")
    stream = family.examples(SPLIT, None, 0, "here", **options_of(family.examples, entry, "here"))
    parts = divide(stream, SPLIT, "here")
    rated = {row["PuzzleId"]: row["Rating"] for row in _rows("lichess", "train")}
    groups: dict[str, str] = {}
    for part, examples in parts.items():
        assert examples
        for example in examples:
            assert (rated[example.id] > 1200) == (part == "test")
            assert groups.setdefault(example.group, part) == part
    assert {*stream.source} == {"learned", "tested"}
    wrong = entry.model_dump() | {"tested": {"rating_min": 1500, "rating_max": 1400}}
    with pytest.raises(UserError, match=r"^here\.tested\.rating_min: 1500 is above rating_max, 1400$"):
        family.examples(SPLIT, None, 0, "here", **options_of(family.examples, Task(**wrong), "here"))
