"""Every data set of the hub, read through the real door from a prefilled cache."""

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pytest

from tests.data.tasks.fixtures import FIXTURES, fill, write
from tests.data.tasks.form import betrayals
from tests.data.tasks.writer import Fixture, Row, Writer
from w2s.core.checks import load
from w2s.core.errors import UserError
from w2s.core.params import Split, Task
from w2s.core.validation import options_of
from w2s.data import tasks
from w2s.data.questions import Choice, Example, Origin, Statement, yes_no_prompt
from w2s.data.reading import hub_examples
from w2s.data.split import divide

HUB = {name: task for name, task in load().tasks.items() if "repository" in task.options}
ENTRIES = {name: task for name, task in HUB.items() if task.setting == "classification"}
SPLIT = Split(supervisor=60, student=60, validation=20, test=60)
ROWS = 150
every = pytest.mark.parametrize("name", ENTRIES)


def family(name: str) -> ModuleType:
    return tasks.family(ENTRIES[name].family, name)


def drawn(name: str, seed: int = 0, entry: Task | None = None, examples: Callable | None = None) -> list[Example]:
    """A task's examples; `examples` stands in for its family's."""
    entry, param_path = entry or ENTRIES[name], f"params.yaml: tasks.{name}"
    examples = examples or family(name).examples
    stream = examples(SPLIT, None, seed, param_path, **options_of(examples, entry, param_path))
    return list(stream)


def use(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, list[Example]]]:
    """All examples of every data set's fixture; the cache stays in use."""
    cache = tmp_path_factory.mktemp("hub")
    for name, entry in ENTRIES.items():
        fill(cache, name, entry, ROWS)
    with pytest.MonkeyPatch.context() as monkeypatch:
        use(cache, monkeypatch)
        yield {name: drawn(name) for name in ENTRIES}


def test_every_hub_task_has_a_fixture() -> None:
    assert HUB.keys() == FIXTURES.keys()


@pytest.mark.slow
@every
def test_texts_ask_a_yes_or_no_question_and_are_distinct(name: str, examples: dict[str, list[Example]]) -> None:
    assert len(examples[name]) >= ROWS
    for example in examples[name]:
        assert example.inputs["text"].endswith("?")
        assert example.inputs["text"] == example.inputs["text"].strip()
    assert len({e.id for e in examples[name]}) == len({e.inputs["text"] for e in examples[name]}) == len(examples[name])


@every
def test_parts_share_no_group_are_balanced_and_test_on_the_test_split(
    name: str, examples: dict[str, list[Example]]
) -> None:
    tested = [example.origin is Origin.TEST for example in examples[name]]
    assert tested == sorted(tested, reverse=True), "examples of test files come first"
    assert {example.origin for example in examples[name]} == {Origin.TRAIN, Origin.TEST}
    parts = divide(examples[name], SPLIT, name)
    groups = [{example.group for example in part} for part in parts.values()]
    assert all(one.isdisjoint(two) for one, two in itertools.combinations(groups, 2))
    for part, members in parts.items():
        assert sum(example.answer for example in members) * 2 == len(members) >= 10, part
        assert {example.origin for example in members} == {Origin.TEST if part == "test" else Origin.TRAIN}


@pytest.mark.slow
@every
def test_the_seed_alone_decides(name: str, examples: dict[str, list[Example]]) -> None:
    assert drawn(name) == examples[name]
    other = drawn(name, seed=1)
    assert [e.id for e in other] != [e.id for e in examples[name]]
    assert {e.group for e in other} == {e.group for e in examples[name]}


@every
def test_form_does_not_betray_the_label(name: str, examples: dict[str, list[Example]]) -> None:
    assert betrayals(examples[name]) == []


@every
def test_right_and_wrong_answers_are_rendered_alike(name: str) -> None:
    """Making another candidate right changes no text but moves the truth."""
    questions, fixture = family(name).questions, FIXTURES[name]

    def told(row: Row) -> dict[tuple[str, str], bool]:
        found = [s for q in questions(row) for s in (q.statements() if isinstance(q, Choice) else [q])]
        return {(statement.text, statement.group): statement.true for statement in found}

    for row in fixture.rows("train", 60):
        before, after = told(row), [told(other) for other in fixture.swaps(row)]
        assert all(swapped.keys() == before.keys() for swapped in after)
        if not any(isinstance(question, Choice) and len(question.statements()) < 2 for question in questions(row)):
            assert all(any(swapped[said] != true for swapped in after) for said, true in before.items())


LEAKS = {
    "single letter": lambda row: Choice(
        row["question"], "B", [row["distractor1"], row["distractor2"]], row["question"]
    ),
    "capital": lambda row: Choice(
        row["question"], row["correct_answer"].title(), [row["distractor1"]], row["question"]
    ),
    "last sign": lambda row: Choice(
        row["question"], row["correct_answer"], [f"{row['distractor1']}."], row["question"]
    ),
    "label in front": lambda row: Choice(row["question"], row["correct_answer"], [f"(C) {row['distractor1']}"], "g"),
    "length": lambda row: Choice(row["question"], row["correct_answer"], [row["support"] + "."], row["question"]),
    "digits": lambda row: Statement(
        yes_no_prompt(row["question"], "12" if len(row["support"]) % 2 else "a x"), len(row["support"]) % 2 == 1, "g"
    ),
}


@pytest.mark.parametrize("feature", LEAKS)
def test_a_planted_leak_is_found(feature: str, examples: dict[str, list[Example]]) -> None:
    leaky = hub_examples(lambda row: [LEAKS[feature](row)])
    assert feature in betrayals(drawn("sciq", examples=leaky))
    assert betrayals(examples["sciq"]) == []


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        *[("boolq", 3), ("cosmos_qa", 2), ("dream", 3), ("hellaswag", 3), ("mc_taco", 6), ("multirc", 8)],
        *[("openbookqa", 1), ("piqa", 2), ("quail", 4), ("quartz", 4), ("sciq", 1), ("social_iqa", 3)],
    ],
)
def test_rows_about_one_text_are_a_group(name: str, rows: int, examples: dict[str, list[Example]]) -> None:
    for origin in (Origin.TEST, Origin.TRAIN):
        groups = {example.group for example in examples[name] if example.origin is origin}
        assert len(groups) == -(-ROWS // rows)


def test_right_and_wrong_answers_have_equal_chance(examples: dict[str, list[Example]]) -> None:
    for name in ("cosmos_qa", "dream", "hellaswag", "openbookqa", "piqa", "quail", "quartz", "sciq", "social_iqa"):
        assert 0.4 < sum(example.answer for example in examples[name]) / len(examples[name]) < 0.6, name


def test_a_question_without_a_wrong_answer_is_left_out(examples: dict[str, list[Example]]) -> None:
    alike = [row for row in FIXTURES["piqa"].rows("train", ROWS) if row["sol1"].strip() == row["sol2"].strip()]
    assert alike
    texts = " ".join(example.inputs["text"] for example in examples["piqa"])
    assert not any(row["sol1"] in texts for row in alike)


@pytest.mark.parametrize(
    ("name", "column", "label", "right"),
    [
        ("cosmos_qa", "label", 2, lambda row: row["answer2"]),
        ("dream", "answer", "A duck.", lambda row: "A duck."),
        ("hellaswag", "label", "3", lambda row: row["endings"][3]),
        ("openbookqa", "answerKey", "C", lambda row: row["choices"]["text"][2]),
        ("piqa", "label", 1, lambda row: row["sol2"]),
        ("quail", "correct_answer_id", 1, lambda row: row["answers"][1]),
        ("quartz", "answerKey", "B", lambda row: row["choices"]["text"][1]),
        ("sciq", "correct_answer", "a duck", lambda row: "a duck"),
        ("social_iqa", "label", "2", lambda row: row["answerB"]),
    ],
)
def test_the_label_names_the_right_answer(name: str, column: str, label: object, right: Callable[[Row], str]) -> None:
    row = (
        FIXTURES[name].row(Writer("one"), 1)
        | {column: label}
        | ({"choice": ["No.", "A duck."]} if name == "dream" else {})
    )
    (question,) = family(name).questions(row)
    assert question.right == right(row)
    assert question.right not in question.wrong


@pytest.mark.parametrize(("name", "yes"), [("boolq", True), ("mc_taco", 1), ("multirc", 1)])
def test_the_label_of_a_statement_says_yes(name: str, yes: object) -> None:
    row = FIXTURES[name].row(Writer("one"), 1)
    column = "answer" if name == "boolq" else "label"
    assert [next(family(name).questions(row | {column: label})).true for label in (yes, not yes)] == [True, False]


def test_what_texts_look_like() -> None:
    row = FIXTURES["hellaswag"].rows("train", 1)[0] | {
        "ctx": "A cat sits down. It",
        "activity_label": "Cats",
        "label": "2",
    }
    (question,) = tasks.family("hellaswag", "").questions(row | {"endings": ["purrs.", "reads.", "sleeps. ", "barks."]})
    right, *wrong = question.statements()
    assert right.text == "How does this go on?\nCats: A cat sits down. It\nAnswer: sleeps.\nIs this answer right?"
    assert [w.text.split("\n")[2] for w in wrong] == ["Answer: purrs.", "Answer: reads.", "Answer: barks."]
    row = {"question": "is water wet", "passage": " Water is a liquid. ", "answer": True}
    (question,) = tasks.family("boolq", "").questions(row)
    assert question == Statement("Water is a liquid.\nQuestion: Is water wet?", True, row["passage"])


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, in use."""
    use(tmp_path, monkeypatch)
    return tmp_path


def changed(name: str, change: Callable[[Row], Row], drop: str | None = None) -> Fixture:
    """A fixture whose rows are altered, with a column less."""
    fixture = FIXTURES[name]
    schema = pa.schema([field for field in fixture.schema if field.name != drop])
    return replace(fixture, schema=schema, row=lambda writer, index: change(fixture.row(writer, index)))


@pytest.mark.parametrize(
    ("name", "label", "told"),
    [
        ("piqa", -1, "column 'label' holds -1, expected one of 0, 1"),
        ("cosmos_qa", -1, "column 'label' holds -1, expected one of 0, 1, 2, 3"),
        ("multirc", -1, "column 'label' holds -1, expected one of 0, 1"),
        ("hellaswag", "", "column 'label' holds '', expected one of '0', '1', '2', '3'"),
        ("openbookqa", "E", "column 'answerKey' holds 'E', expected one of 'A', 'B', 'C', 'D'"),
        ("boolq", None, "column 'answer' is empty"),
    ],
)
def test_a_hidden_or_unknown_label_is_refused(name: str, label: object, told: str, cache: Path) -> None:
    column = told.split("'")[1]
    fill(cache, name, ENTRIES[name], 5, changed(name, lambda row: row | {column: label}))
    with pytest.raises(UserError) as error:
        drawn(name)
    assert str(error.value).startswith(f"params.yaml: tasks.{name}: ")
    assert str(error.value).endswith(f".parquet: {told}")


def test_a_missing_column_is_named(cache: Path) -> None:
    fill(cache, "sciq", ENTRIES["sciq"], 5, changed("sciq", lambda row: row, drop="distractor2"))
    with pytest.raises(UserError) as error:
        drawn("sciq")
    told = "column 'distractor2' is missing: it has question, distractor3, distractor1, correct_answer, support"
    assert str(error.value).endswith(f"/data/test-0000.parquet: {told}")


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("sciq", {"question": None}, "column 'question' is empty"),
        ("hellaswag", {"endings": [None] * 4}, "a row is not as expected (AttributeError("),
        ("openbookqa", {"choices": {"text": None, "label": None}}, "a row is not as expected (TypeError("),
    ],
)
def test_an_empty_value_is_refused(name: str, change: Row, told: str, cache: Path) -> None:
    fill(cache, name, ENTRIES[name], 5, changed(name, lambda row: row | change))
    with pytest.raises(UserError) as error:
        drawn(name)
    assert f".parquet: {told}" in str(error.value)


def test_a_pattern_without_a_file_is_named(cache: Path) -> None:
    fill(cache, "sciq", ENTRIES["sciq"], 5)
    entry = ENTRIES["sciq"].model_copy(update={"test": "data/exam-*.parquet"})
    with pytest.raises(UserError, match=r"tasks\.sciq: dataset allenai/sciq at 2c94ad\w+ has no file data/exam-\*"):
        drawn("sciq", entry=entry)


def test_an_unreadable_file_is_named(cache: Path) -> None:
    folder = fill(cache, "sciq", ENTRIES["sciq"], 5)
    (folder / "data/train-0000.parquet").write_bytes(b"not Parquet at all")
    with pytest.raises(UserError, match=r"tasks\.sciq: train-0000\.parquet cannot be read as parquet \(.+\)$"):
        drawn("sciq")


def test_several_patterns_are_all_read(cache: Path) -> None:
    entry = ENTRIES["sciq"].model_copy(
        update={"train": ["data/train-*.parquet", "more/*.jsonl"], "test": "data/t.jsonl"}
    )
    folder = fill(cache, "sciq", ENTRIES["sciq"], 5)
    write(folder / "data/t.jsonl", FIXTURES["sciq"].rows("t", 5), FIXTURES["sciq"].schema)
    write(folder / "more/x.jsonl", FIXTURES["sciq"].rows("x", 5), FIXTURES["sciq"].schema)
    with pytest.raises(UserError, match="must be all Parquet, all JSON or all CSV"):
        drawn("sciq", entry=entry)
    both = entry.model_copy(update={"train": ["more/*.jsonl", "data/t.jsonl"], "test": "data/test-*.parquet"})
    assert sum(example.origin is Origin.TRAIN for example in drawn("sciq", entry=both)) == 10


def test_importing_tasks_is_light() -> None:
    code = (
        "import sys; from w2s.data import tasks as t; t.family('sciq', ''); t.family('local', ''); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"w2s.data.tasks.sciq", "w2s.data.tasks.local"} <= set(done.stdout.split())
    assert {"datasets", "torch", "huggingface_hub", "pandas"}.isdisjoint(done.stdout.split())
