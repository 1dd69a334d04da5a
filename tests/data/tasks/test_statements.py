"""Quirks of single data sets: what makes a group, hidden labels, left-out rows, texts in several files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.data.tasks.fixtures import FIXTURES, fill
from tests.data.tasks.writer import Fixture, Row, Writer
from w2s.core.checks import load
from w2s.core.errors import UserError
from w2s.core.params import Split
from w2s.core.validation import options_of
from w2s.data import tasks
from w2s.data.questions import Example, Origin, Statement
from w2s.data.tasks import ethics_justice, ethics_utilitarianism, sst2

SPLIT = Split(supervisor=60, student=60, validation=20, test=60)
SHARING = {  # rows that stand side by side in the fixture and share a source
    "ethics_deontology": 4,
    "ethics_justice": 4,
    "ethics_utilitarianism": 3,
    "ethics_virtue": 5,
    "anli_r2": 3,
    "paws": 2,
    "sst2": 3,
    "wic": 3,
}

Read = Callable[[str, Fixture], list[Example]]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """The examples of a task whose files in the hub cache hold a fixture's rows."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    def examples(name: str, fixture: Fixture) -> list[Example]:
        entry, param_path = load().tasks[name], f"params.yaml: tasks.{name}"
        fill(tmp_path, name, entry, fixture=fixture)
        family = tasks.family(entry.family, param_path)
        return list(family.examples(SPLIT, None, 0, param_path, **options_of(family.examples, entry, param_path)))

    return examples


def rows_of(name: str, change: Callable[[Row], Row]) -> Fixture:
    fixture = FIXTURES[name]
    return Fixture(fixture.schema, lambda writer, index: change(fixture.row(writer, index)), fixture.swaps)


def statements(name: str, row: Row) -> list[Statement]:
    return list(tasks.family(name, "").questions(row))


@pytest.mark.parametrize("name", SHARING)
def test_rows_from_one_source_are_one_group_and_sources_stay_apart(name: str, read: Read) -> None:
    fixture, among, pattern = FIXTURES[name], SHARING[name], load().tasks[name].options["train"]
    group = {example.inputs["text"]: example.group for example in read(name, fixture)}
    rows = fixture.rows(f"train {pattern}", 150)
    texts = [[s.text for row in rows[i : i + among] for s in statements(name, row)] for i in range(0, 150, among)]
    found = [{group[text] for text in source} for source in texts]
    assert all(len(groups) == 1 for groups in found)
    assert len(set.union(*found)) > 0.8 * len(found)


def test_justice_joins_a_set_by_what_it_shares_and_not_by_commonplaces() -> None:
    habit = [f"I usually wave to Ann, but I didn't today because {why}." for why in ("she left", "I hid", "she hid")]
    reason = [
        f"I deserve {what} by my customer because I sewed his coat" for what in ("to be paid", "to be given a boat")
    ]
    others = [f"I deserve to be paid by my customer because I {did}." for did in ("sang", "drove", "cooked", "swam")]
    group = ethics_justice.sets([*habit, *reason, *others, "I deserve a quiet life."])
    assert len({group[scenario] for scenario in habit}) == 1
    assert len({group[scenario] for scenario in reason}) == 1
    assert len(set(group.values())) == 1 + 1 + len(others) + 1


def test_justice_ignores_case_and_punctuation_between_the_rows_of_a_set() -> None:
    group = ethics_justice.sets(
        ["I usually call Mary, but not today because I slept.", "I usually call mary but not today since: no"]
    )
    assert len(set(group.values())) == 1


def test_fragments_follow_the_longest_phrase_they_are_part_of() -> None:
    whole = sst2.sentences(
        ["a dull film", "dull film", "film", "a dull", "a dull film indeed", "dull", "a film", "ull"]
    )
    fragments = {"a dull film", "dull film", "film", "a dull", "a dull film indeed", "dull"}
    assert {phrase for phrase, home in whole.items() if home == "a dull film indeed"} == fragments
    assert (whole["a film"], whole["ull"]) == ("a film", "ull")


@pytest.mark.parametrize(
    ("one", "two", "opening"),
    [
        ("I baked. It rose.", "I baked. It burned.", "i baked"),
        ("I baked.", "I baked", "i baked"),
        ("I ate a bowl of ice with nuts.", "I ate a bowl of ice with glass.", "i ate a bowl of ice"),
        ("I got a cake today.", "I got an apple today.", "i got"),
    ],
)
def test_pairs_are_grouped_by_how_they_begin(one: str, two: str, opening: str) -> None:
    assert ethics_utilitarianism.opening(one, two) == ethics_utilitarianism.opening(two, one) == opening


def test_which_scenario_stands_first_says_nothing_about_which_is_better() -> None:
    """The same pair reads the same whichever is better, and either may be."""
    rows = FIXTURES["ethics_utilitarianism"].rows("train", 400)
    answers = [statements("ethics_utilitarianism", row)[0] for row in rows]
    assert 160 < sum(answer.true for answer in answers) < 240
    empty = {"baseline": "I slept.", "less_pleasant": "I slept. "}
    assert statements("ethics_utilitarianism", empty) == []


@pytest.mark.parametrize("name", ["cola", "sst2", "wic"])
def test_a_hidden_label_is_an_error_and_not_a_no(name: str, read: Read) -> None:
    with pytest.raises(UserError, match=rf"tasks\.{name}: .*'label' holds -1, expected one of"):
        read(name, rows_of(name, lambda row: row | {"label": -1}))


def test_neutral_tweets_are_left_out(read: Read) -> None:
    found = read(
        "twitter_sentiment", rows_of("twitter_sentiment", lambda row: row | {"text": f"{row['text']} {row['label']}"})
    )
    assert {example.inputs["text"].splitlines()[0][-1] for example in found} == {"0", "2"}
    assert all(example.answer == (example.inputs["text"].splitlines()[0][-1] == "2") for example in found)


def test_a_tweet_sent_to_several_people_is_one_group() -> None:
    texts = ["Rain again", "@ann Rain again", "RT @bob rain  again https://t.co/x", "@ann"]
    groups = [statements("twitter_sentiment", {"text": text, "label": 2})[0].group for text in texts]
    assert len({" ".join(group.casefold().split()) for group in groups[:3]}) == 1
    assert groups[3] == "@ann"


def test_a_neutral_claim_does_not_follow() -> None:
    row = FIXTURES["anli_r2"].row(Writer("one"), 0)
    assert [statements("anli_r2", row | {"label": label})[0].true for label in (0, 1, 2)] == [True, False, False]


def test_a_text_of_both_splits_is_only_tested_on(read: Read) -> None:
    same = FIXTURES["cola"]
    found = read("cola", Fixture(same.schema, lambda writer, index: same.row(Writer(str(index)), index), same.swaps))
    assert found
    assert all(example.origin is Origin.TEST for example in found)


def test_a_csv_text_that_looks_like_no_value_is_text(read: Read) -> None:
    assert any(
        "\nNone\n" in example.inputs["text"] for example in read("ethics_deontology", FIXTURES["ethics_deontology"])
    )


def test_a_trait_without_its_scene_is_an_error(read: Read) -> None:
    with pytest.raises(UserError, match=r"tasks\.ethics_virtue: the row whose label is .* in data/virtue/test\.csv: "):
        read("ethics_virtue", rows_of("ethics_virtue", lambda row: row | {"scenario": "Ann slept. brave"}))


def test_a_review_may_have_no_title() -> None:
    row = {"title": "", "content": "Works well.", "label": 1}
    assert statements("amazon_polarity", row)[0].text == "Works well.\nIs this review positive?"
