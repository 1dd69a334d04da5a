"""Tasks from the user's own files: one entry in params.yaml, no code."""

import itertools
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.data.tasks.fixtures import write
from tests.data.tasks.form import betrayals
from tests.data.tasks.writer import Writer
from w2s.core.errors import UserError
from w2s.core.params import Split, Task
from w2s.core.validation import options_of
from w2s.data import tasks
from w2s.data.questions import Example, Origin
from w2s.data.split import divide

SPLIT = Split(seed=0, supervisor=40, student=40, validation=10, test=20)
WHERE = "params.yaml: tasks.mine"
LABELLED = {"text": "{premise} Does it follow that {hypothesis}?", "label": "label", "positive": ["entailment"]}
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
    return list(family.examples(SPLIT, None, WHERE, **options_of(family.examples, entry, WHERE)))


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
    examples = drawn(file=save("mine.csv", rows), **LABELLED | {"positive": [1, 2]})
    assert sum(example.answer for example in examples) == 120
    assert len({example.group for example in examples}) == 240
    rows = [row | {"label": index % 4 == 0} for index, row in enumerate(inferences())]
    for kind in ("csv", "jsonl"):
        file = save(f"truth.{kind}", rows)
        assert sum(example.answer for example in drawn(file=file, **LABELLED | {"positive": [True]})) == 60


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
        {"positive": ["entailment", "entails"]},
        ".positive: 'entails' never occurs in column 'label' (which holds 'contradiction', 'entailment', 'neutral')",
    ),
    "repeated id": ({"id": "premise"}, ": the id '"),
    "open brace": ({"text": "{premise"}, ".text: expected '}' before end of string; a column stands in braces"),
    "neither": (
        {"label": None, "positive": None},
        ": give label and positive (rows are statements) or choices and answ",
    ),
    "both": ({"choices": ["premise"], "answer": "label"}, ": give label and positive (rows are statements) or choices"),
    "unknown answer": (
        {"label": None, "positive": None, "choices": ["premise", "hypothesis"], "answer": "label"},
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
    assert str(error.value).startswith(WHERE + told)
    assert "\n" not in str(error.value)


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
    with pytest.raises(UserError, match="column 'answer' holds 0, which is both an answer and the place of another"):
        drawn(**LISTED, file=save("mine.jsonl", rows))
