"""Files of one's own whose columns, texts or places are odd: read as they are, or refused in one line."""

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.data.tasks.fixtures import write
from w2s.core.errors import UserError
from w2s.core.params import Split
from w2s.data.questions import Example
from w2s.data.tasks import local

SPLIT = Split(supervisor=40, student=40, validation=10, test=20)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def save(name: str, rows: list[dict[str, Any]]) -> str:
    path = Path("data/local", name)
    write(path, rows, pa.Table.from_pylist(rows).schema)
    return str(path)


def drawn(**options: Any) -> list[Example]:
    return list(local.examples(SPLIT, None, 0, "params.yaml: tasks.mine", **options))


ODD = ["a.b", "a b", "a[0]", "é", "0"]


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
@pytest.mark.parametrize("column", ODD)
def test_a_column_may_have_any_name(column: str, kind: str) -> None:
    rows = [{column: f"the {n}th text", "label": ["no", "yes"][n % 2]} for n in range(20)]
    file = save(f"odd.{kind}", rows)
    for example in drawn(file=file, text=f"Is {{{column}}} right?", label="label", positive=["yes"]):
        assert re.fullmatch(r"Is the \d+th text right\?", example.inputs["text"])


@pytest.mark.parametrize("name", ["none.jsonl", "none.csv", "none.parquet"])
def test_an_empty_file_is_refused_in_one_line(name: str) -> None:
    path = Path("data/local", name)
    path.parent.mkdir(parents=True)
    path.write_text("")
    with pytest.raises(UserError, match=name) as error:
        drawn(file=str(path), text="{q}", label="label", positive=["yes"])
    assert "\n" not in str(error.value)


def test_a_bad_row_is_named_by_its_first_column() -> None:
    rows = [{"PuzzleId": f"00{n}", "q": f"text {n}", "label": ["no", "yes"][n % 2]} for n in range(20)]
    rows[7]["q"] = " "
    with pytest.raises(UserError, match=r"the row whose PuzzleId is '007' in \S+: column 'q' is empty$"):
        drawn(file=save("mine.jsonl", rows), text="{q}", label="label", positive=["yes"])


def test_a_file_that_git_does_not_track_is_missed_in_an_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = Path(".dvc/tmp/exps/one")
    elsewhere.mkdir(parents=True)
    for folder, hint in ((".", ""), (elsewhere, ": in an experiment of --temp or --queue is only what git tracks")):
        monkeypatch.chdir(folder)
        with pytest.raises(UserError, match=r"no file 'data/local/mine.csv'" + hint):
            drawn(file="data/local/mine.csv", text="{q}", label="label", positive=["yes"])
