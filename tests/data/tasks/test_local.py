"""Tasks from the user's own files: one entry in params.yaml, no code."""

import itertools
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from scipy.stats import ks_2samp

from tests.data.tasks.fixtures import write
from tests.data.tasks.form import betrayals
from tests.data.tasks.writer import Writer
from w2s.core.errors import UserError
from w2s.core.params import Split, Task
from w2s.core.validation import options_of
from w2s.data import tasks
from w2s.data.questions import Example, Origin
from w2s.data.split import divide

SPLIT = Split(supervisor=40, student=40, validation=10, test=20)
WHERE = "params.yaml: tasks.mine"
LABELLED = {
    "text": "{premise} Does it follow that {hypothesis}?",
    "label": "label",
    "positive": ["entailment"],
    "negative": ["neutral", "contradiction"],
}
YES_NO = {"true": ["Yes"], "false": ["No"]}
LISTED = {"text": "Question: {question}", "choices": "options", "answer": "answer"}
SPREAD = {"text": "Question: {question}", "choices": ["a", "b", "c"], "answer": "answer"}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def inferences(count: int = 240, seed: str = "x") -> list[dict[str, Any]]:
    writer = Writer(seed)
    labels = ["entailment", "neutral", "contradiction"]
    return [
        {
            "key": f"{seed}-{n}",
            "premise": writer.shared(n, 3),
            "hypothesis": writer.clause(),
            "label": writer.pick(labels),
        }
        for n in range(count)
    ]


def quizzes(count: int = 200) -> list[dict[str, Any]]:
    writer = Writer("q")
    rows = []
    for n in range(count):
        a, b, c = writer.several(writer.phrase, 3)
        where = writer.pick(range(3))
        row = {"question": f"What {writer.clause()}?", "a": a, "b": b, "c": c, "options": [a, b, c], "unit": n // 4}
        rows.append(row | {"answer": "abc"[where], "said": [a, b, c][where], "position": where})
    return rows


def save(name: str, rows: list[dict[str, Any]]) -> str:
    path = Path("data/local", name)
    flat = [
        {key: value for key, value in row.items() if not (name.endswith("csv") and isinstance(value, list))}
        for row in rows
    ]
    write(path, flat, pa.Table.from_pylist(flat).schema)
    return str(path)


def drawn(**options: Any) -> list[Example]:
    family = tasks.family("local", WHERE)
    entry = Task(family="local", setting="classification", answers=YES_NO, **options)
    return list(family.examples(SPLIT, None, 0, WHERE, **options_of(family.examples, entry, WHERE)))


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_rows_that_are_statements(kind: str) -> None:
    rows = inferences()
    examples = drawn(file=save(f"mine.{kind}", rows), group="premise", **LABELLED)
    truth = {f"{row['premise']} Does it follow that {row['hypothesis']}?": row["label"] == "entailment" for row in rows}
    assert {example.inputs["text"]: example.answer for example in examples} == truth
    assert {example.origin for example in examples} == {Origin.ANY}
    assert len({example.group for example in examples}) == 80
    parts = divide(examples, SPLIT, WHERE)
    groups = [{example.group for example in part} for part in parts.values()]
    assert all(one.isdisjoint(two) for one, two in itertools.combinations(groups, 2))


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
@pytest.mark.parametrize("answer", ["answer", "said", "position"])
def test_rows_that_are_questions(kind: str, answer: str) -> None:
    rows = quizzes()
    examples = drawn(file=save(f"mine.{kind}", rows), group="unit", **SPREAD | {"answer": answer})
    right = {f"Question: {row['question']}\nAnswer: {row['said']}\nIs this answer right?" for row in rows}
    assert {example.inputs["text"] for example in examples if example.answer} < right
    assert right.isdisjoint({example.inputs["text"] for example in examples if not example.answer})
    assert 70 < sum(example.answer for example in examples) < 130
    assert len({example.group for example in examples}) == 50
    assert betrayals(examples) == []


@pytest.mark.parametrize("answer", ["said", "position"])
def test_choices_in_one_column(answer: str) -> None:
    file = save("mine.jsonl", quizzes())
    assert drawn(file=file, **LISTED | {"answer": answer}) == drawn(file=file, **SPREAD)


@pytest.mark.slow
def test_a_file_of_its_own_for_the_test_part() -> None:
    shared = inferences(30, "both")
    examples = drawn(
        file=save("a.csv", inferences() + shared), test=save("b.jsonl", inferences(60, "y") + shared), **LABELLED
    )
    assert [example.origin for example in examples] == [Origin.TEST] * 90 + [Origin.TRAIN] * 240
    parts = divide(examples, SPLIT, WHERE)
    assert {example.origin for example in parts["test"]} == {Origin.TEST}
    assert {e.inputs["text"] for e in parts["test"]}.isdisjoint(
        {e.inputs["text"] for p in ("supervisor", "student") for e in parts[p]}
    )


@pytest.mark.slow
def test_labels_may_be_numbers_or_truth_values_and_texts_are_grouped_alone() -> None:
    rows = [row | {"label": index % 4} for index, row in enumerate(inferences())]
    examples = drawn(file=save("mine.csv", rows), **LABELLED | {"positive": [1, 2], "negative": [0, 3]})
    assert sum(example.answer for example in examples) == 120
    assert len({example.group for example in examples}) == 240
    rows = [row | {"label": index % 4 == 0} for index, row in enumerate(inferences())]
    for kind in ("parquet", "jsonl"):
        file = save(f"truth.{kind}", rows)
        options = LABELLED | {"positive": [True], "negative": [False]}
        assert sum(example.answer for example in drawn(file=file, **options)) == 60


def test_ids_are_taken_from_a_column() -> None:
    file = save("mine.csv", inferences())
    assert {example.id for example in drawn(file=file, id="key", **LABELLED)} == {f"x-{n}" for n in range(240)}


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "missing file": ({"file": "data/local/no.csv"}, ".file: no file 'data/local/no.csv'"),
    "file elsewhere": ({"file": "elsewhere.csv"}, ".file: 'elsewhere.csv' must lie under data/local/"),
    "way out": ({"test": "data/local/../../elsewhere.csv"}, ".test: 'data/local/../../elsewhere.csv' must lie under"),
    "missing column": (
        {"text": "{sentence}?"},
        ": data/local/mine.csv: column 'sentence' is missing: it has key, prem",
    ),
    "missing label": ({"label": "gold"}, ": data/local/mine.csv: column 'gold' is missing: it has key, premise"),
    "missing group": ({"group": "topic"}, ": data/local/mine.csv: column 'topic' is missing: it has key, premise"),
    "unmatched label": (
        {"positive": ["entailment", "entails"], "negative": None},
        ".positive: 'entails' never occurs in column 'label' (which holds 'contradiction', 'entailment', 'neutral')",
    ),
    "repeated id": ({"id": "premise"}, ": the id '"),
    "open brace": ({"text": "{premise"}, ".text: expected '}' before end of string; a column stands in braces"),
    "unexplained labels": (
        {"negative": ["neutral"]},
        ": column 'label' holds 'contradiction': list in positive what means yes and in negative what means no",
    ),
    "no negative labels": ({"negative": None}, ": column 'label' holds 'contradiction', 'neutral': list in positive"),
    "label of both kinds": ({"negative": ["neutral", "entailment"]}, ".negative: 'entailment' is positive, too"),
    "format of a column": ({"text": "{premise!r}"}, ".text: a column's name stands alone in braces, like {question}"),
    "neither": (
        {"label": None, "positive": None, "negative": None},
        ": give label and positive (rows are statements) or choices and answ",
    ),
    "both": ({"choices": ["premise"], "answer": "label"}, ": give label and positive (rows are statements) or choices"),
    "unknown answer": (
        {"label": None, "positive": None, "negative": None, "choices": ["premise", "hypothesis"], "answer": "label"},
        ": data/local/mine.csv: column 'label' holds '",
    ),
    "unknown option": ({"lable": "label"}, ": lable: unknown name 'lable' (known: file, text, test, label, positive"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_told_in_one_line(fault: str) -> None:
    changes, told = FAULTS[fault]
    save("../../elsewhere.csv", inferences())
    options = {"file": save("mine.csv", inferences()), **LABELLED} | changes
    with pytest.raises(UserError) as error:
        drawn(**{name: value for name, value in options.items() if value is not None})
    assert str(error.value).startswith(WHERE)
    # Faults of a row come after its name.
    assert told.removeprefix(": ") in str(error.value)
    assert "\n" not in str(error.value)


def test_a_link_to_a_file_is_read_and_one_to_a_folder_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    """DVC hashes what the first points to, and does not look behind the second."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    kept = Path(save("mine.csv", inferences()))
    kept.rename(elsewhere / "mine.csv")
    kept.symlink_to(elsewhere / "mine.csv")
    assert drawn(file=str(kept), **LABELLED)
    Path("data/local/linked").symlink_to(elsewhere)
    with pytest.raises(UserError, match=r"tasks\.mine\.file: data/local/linked is a link to a folder"):
        drawn(file="data/local/linked/mine.csv", **LABELLED)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"label": ""}, "column 'label' is empty"),
        ({"premise": ""}, "column 'premise' is empty"),  # the group
    ],
)
def test_an_empty_cell_of_a_csv_file_is_no_answer(change: dict[str, str], told: str) -> None:
    rows = inferences()
    rows[7] |= change
    with pytest.raises(UserError) as error:
        drawn(**LABELLED, file=save("mine.csv", rows), group="premise")
    assert str(error.value).endswith(f": {told}")


def test_a_number_that_is_both_an_answer_and_a_place_is_refused() -> None:
    rows = [{"question": f"How many, {n}?", "options": [1, 7, 0], "answer": 0} for n in range(200)]
    file = save("mine.jsonl", rows)
    with pytest.raises(UserError, match="column 'answer' holds '0', which is both an answer and the place of another"):
        drawn(**LISTED, file=file)
    for reading, right in (("text", "0"), ("position from 0", "1")):
        told = {example.inputs["text"] for example in drawn(**LISTED, file=file, answer_is=reading) if example.answer}
        assert all(text.endswith(f"Answer: {right}\nIs this answer right?") for text in told)


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_where_positions_count_from_is_never_guessed(kind: str) -> None:
    """Counted from 1, but never up to the last of four answers: from 0 each would be another answer, silently."""
    answers = {name: f"the {name}" for name in "abcd"}
    rows = [{"question": f"Which, {n}?", **answers, "answer": 1 + n % 3} for n in range(200)]
    options = {"text": "{question}", "choices": list("abcd"), "answer": "answer", "file": save(f"mine.{kind}", rows)}
    with pytest.raises(UserError, match="which is a place: say in answer_is whether"):
        drawn(**options)
    true = {e.inputs["text"] for e in drawn(**options, answer_is="position from 1") if e.answer}
    assert true < {f"Which, {n}?\nAnswer: the {'abc'[n % 3]}\nIs this answer right?" for n in range(200)}


SPELLINGS = ["Yes", "YES", "yes ", " yes", "y", "ja", "1", "true", "no ", "NO", "None"]


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("negative", [None, ["no"]])
def test_no_spelling_of_a_label_counts_silently(kind: str, spelling: str, negative: list[str] | None) -> None:
    rows = [{"text": f"Film {n}. Praise?", "label": ("yes", "no")[n % 2]} for n in range(100)]
    rows[50]["label"] = spelling
    options = {"text": "{text}", "label": "label", "positive": ["yes"], "file": save(f"mine.{kind}", rows)}
    with pytest.raises(UserError) as error:
        drawn(**options, negative=negative)
    assert f"column 'label' holds {spelling!r}" in str(error.value) or repr(spelling) in str(error.value)
    said = drawn(**options, negative=["no", spelling])
    assert sum(example.answer for example in said) == 49


def test_another_spelling_of_yes_is_not_the_one_other_value() -> None:
    rows = [{"text": f"Film {n}. Praise?", "label": ("yes", "Yes ")[n % 2]} for n in range(100)]
    with pytest.raises(UserError, match="column 'label' holds 'Yes ': list in positive what means yes"):
        drawn(text="{text}", label="label", positive=["yes"], file=save("mine.csv", rows))


def test_form_does_not_betray_whole_numbers() -> None:
    """A decimal in one row of a column of wrong answers left all its whole numbers as they stand."""
    rows = [
        {"question": f"{n} + 1?", "a": str(n + 1), "b": "0.5" if n % 7 == 0 else str(n + 2), "answer": "a"}
        for n in range(200)
    ]
    for kind in ("csv", "jsonl", "parquet"):
        told = drawn(text="{question}", choices=["a", "b"], answer="answer", file=save(f"mine.{kind}", rows))
        assert not any(".0" in example.inputs["text"] for example in told)


def test_ids_that_differ_as_text_do_not_collide() -> None:
    rows = [row | {"key": f"{index:0{1 + index % 2}}"} for index, row in enumerate(inferences(9))]
    rows += [{**inferences(1, "z")[0], "key": "003"}, {**inferences(1, "w")[0], "key": "03"}]
    rows[0]["label"], rows[1]["label"], rows[2]["label"] = "entailment", "neutral", "contradiction"
    for kind in ("csv", "jsonl"):
        rows[3]["key"] = "3"
        ids = {example.id for example in drawn(file=save(f"mine.{kind}", rows), id="key", **LABELLED)}
        assert {"3", "03", "003"} <= ids


@pytest.mark.parametrize("share", [0.1, 0.3, 0.9])
def test_neither_place_nor_id_nor_group_tells_the_truth_of_unequal_classes(share: float) -> None:
    rows = [
        {"topic": n // 2, "text": f"Film {n}. Praise?", "label": "yes" if n < share * 4000 else "no"}
        for n in range(4000)
    ]
    options = {"text": "{text}", "label": "label", "positive": ["yes"], "group": "topic"}
    sizes = Split(supervisor=400, student=400, validation=100, test=400)
    for part in divide(iter(drawn(file=save("mine.csv", rows), **options)), sizes, WHERE).values():
        for told in ([*range(len(part))], [example.id for example in part], [example.group for example in part]):
            ranks = {item: rank for rank, item in enumerate(sorted(set(told)))}
            sides = [
                [ranks[item] for item, example in zip(told, part, strict=True) if example.answer == true]
                for true in (True, False)
            ]
            assert ks_2samp(*sides).pvalue > 1e-4


def test_columns_with_odd_names_and_texts_with_space_around() -> None:
    rows = [{"meta.text": f"  Film {n}. Praise?\n", "a[0]": ("yes", "no")[n % 2]} for n in range(10)]
    found = drawn(text=" {meta.text} ", label="a[0]", positive=["yes"], file=save("mine.jsonl", rows))
    assert {example.inputs["text"] for example in found} == {f"Film {n}. Praise?" for n in range(10)}


def test_contradictions_are_counted_and_left_out() -> None:
    rows = [{"text": f"Film {n}. Praise?", "label": ("yes", "no")[n % 2], "key": n} for n in range(40)]
    rows += [rows[n] | {"label": ("no", "yes")[n % 2], "key": 100 + n} for n in range(7)]
    options = {"text": "{text}", "label": "label", "positive": ["yes"], "file": save("mine.csv", rows)}
    family = tasks.family("local", WHERE)
    for more in ({}, {"id": "key"}):
        stream = family.examples(SPLIT, None, 0, WHERE, **options, **more)
        assert stream.source["contradictory"] == 7
        assert {example.inputs["text"] for example in stream} == {f"Film {n}. Praise?" for n in range(7, 40)}
    quiz = [{"question": f"Which, {n}?", "a": "one", "b": "two", "answer": "ab"[n % 2]} for n in range(40)]
    quiz += [quiz[n] | {"answer": "ba"[n % 2]} for n in range(5)]
    asked = {"text": "{question}", "choices": ["a", "b"], "answer": "answer", "file": save("quiz.csv", quiz)}
    stream = family.examples(SPLIT, None, 0, WHERE, **asked)
    assert stream.source["contradictory"] == 10  # each of two answers is said to be right and wrong
    assert len(list(stream)) == 35
