"""Rows of files: every kind, every value as it stands, an order that the seed alone decides."""

import json
import random
from csv import QUOTE_ALL, DictWriter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2s.core.errors import UserError
from w2s.data.sources import Row, shuffled_rows

TEXTS = ["None", "NA", "", 'a "b", c', "ü\nx", "1", "34", "0070", "7.50", "1e5", "true", "True", "2010-01-01", " x "]
CONTENT = [{"text": text, "label": str(index % 3)} for index, text in enumerate(TEXTS)]


def parquet(path: Path, content: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(content), path)


def lines(path: Path, content: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")


def listed(path: Path, content: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def csv(path: Path, content: list[dict[str, Any]]) -> None:
    quoted = ("".join(f'"{str(value).replace(chr(34), chr(34) * 2)}",' for value in row.values()) for row in content)
    path.write_text("\n".join([",".join(content[0]), *(line[:-1] for line in quoted)]) + "\n", encoding="utf-8")


KINDS = {"rows.parquet": parquet, "rows.jsonl": lines, "rows.json": listed, "rows.csv": csv}


def taken(*paths: Path, seed: str = "x") -> list[Row]:
    return list(shuffled_rows(paths, random.Random(seed), "params.yaml: tasks.mine"))


@pytest.mark.parametrize("name", KINDS)
def test_values_survive(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "odd [name] *"
    folder.mkdir()
    KINDS[name](folder / name, CONTENT)
    assert sorted(taken(folder / name), key=lambda row: CONTENT.index(row)) == CONTENT


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=20), st.sampled_from(["jsonl", "json", "csv"]))
def test_every_text_survives(pairs: list[tuple[str, str]], kind: str) -> None:
    content = [{"one": one, "other": other} for one, other in pairs]
    with TemporaryDirectory() as folder:
        path = Path(folder, f"rows.{kind}")
        if kind == "csv":
            with path.open("w", encoding="utf-8", newline="") as file:
                writer = DictWriter(file, ["one", "other"], quoting=QUOTE_ALL)
                writer.writeheader()
                writer.writerows(content)
        else:
            KINDS[path.name](path, content)
        assert sorted(taken(path), key=str) == sorted(content, key=str)


@pytest.mark.parametrize("number", ["34", "34.0", "-0", "1E5", "123456789012345678901234567890", "0.30000000000000004"])
def test_numbers_stay_their_digits_and_a_decimal_elsewhere_changes_none(number: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"n\n{number}\n0.5\n")
    (tmp_path / "a.jsonl").write_text(f'{{"n": {number}, "m": [{number}, true]}}\n{{"n": 0.5}}\n')
    assert {row["n"] for row in taken(tmp_path / "a.csv")} == {number, "0.5"}
    (row,) = [row for row in taken(tmp_path / "a.jsonl") if "m" in row]
    assert row == {"n": number, "m": [number, "true"]}


def test_numbers_of_parquet_read_alike_whatever_their_type(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", [{"whole": 34, "decimal": 34.0, "half": 0.5, "truth": True}])
    (row,) = taken(tmp_path / "a.parquet")
    assert [row.text(column) for column in row] == ["34", "34", "0.5", "true"]


DAMAGE = {
    "ragged.csv": ("a,b\n1,2\n1,2,3\n", "line 3: 3 values for 2 columns"),
    "twice.csv": ("a,a\n1,2\n", "two columns have the same name: a, a"),
    "open.csv": ('a,b\n1,"2\n', "line 2: unexpected end of data"),
    "cut.jsonl": ('{"a": 1}\n{"a": 2', "line 2: Expecting ',' delimiter"),
    "twice.jsonl": ('{"a": 1, "a": 2}\n', "line 1: a key occurs twice: a, a"),
    "nan.jsonl": ('{"a": NaN}\n', "line 1: NaN is not JSON"),
    "half.jsonl": ('{"a": "\\ud800"}\n', "line 1: 'utf-8' codec can't encode"),
    "bare.jsonl": ("7\n", "line 1: a row must be an object"),
    "deep.json": ("[" * 100_000, "line 1: maximum recursion depth exceeded"),
    "short.csv.gz": ("text", "Not a gzipped file"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_told_with_its_line(name: str, tmp_path: Path) -> None:
    content, told = DAMAGE[name]
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError) as error:
        taken(tmp_path / name)
    assert told in str(error.value)


@pytest.mark.parametrize("name", ["none.csv", "none.jsonl", "none.json"])
def test_a_file_without_rows_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text({"none.csv": "a,b\n"}.get(name, ""))
    with pytest.raises(UserError, match=f"tasks.mine: {name}: no rows"):
        taken(tmp_path / name)


def test_the_order_is_pinned_and_long_files_are_whole(tmp_path: Path) -> None:
    for name, first in (("a", 0), ("b", 2000)):
        parquet(tmp_path / f"{name}.parquet", [{"n": first + k} for k in range(2000)])
    order = [row["n"] for row in taken(tmp_path / "a.parquet", tmp_path / "b.parquet")]
    assert sorted(order) == list(range(4000))
    assert order[:6] == [3764, 1258, 3181, 3881, 879, 2930]
    assert order != [row["n"] for row in taken(tmp_path / "a.parquet", tmp_path / "b.parquet", seed="y")]


@pytest.mark.parametrize("name", KINDS)
def test_an_unreadable_file_is_named_in_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b'{"text": \xff\xfe "unfinished\n1,2,3\n4\n')
    with pytest.raises(UserError) as error:
        taken(tmp_path / name)
    assert str(error.value).startswith(f"params.yaml: tasks.mine: {name} cannot be read as ")
    assert "\n" not in str(error.value)


def test_kinds_are_not_mixed(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", CONTENT)
    lines(tmp_path / "b.jsonl", CONTENT)
    (tmp_path / "c.txt").write_text("text")
    told = r"tasks\.mine: files must be all Parquet, all JSON or all CSV, named so \(\.parquet, .*\); found "
    with pytest.raises(UserError, match=told + r"a\.parquet, b\.jsonl"):
        taken(tmp_path / "a.parquet", tmp_path / "b.jsonl")
    with pytest.raises(UserError, match=told + r"c\.txt"):
        taken(tmp_path / "c.txt")


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    parquet(tmp_path / "a.parquet", CONTENT)
    stream = shuffled_rows([tmp_path / "a.parquet"], random.Random(0), "here")
    next(stream)
    assert any((tmp_path / "tmp").iterdir())
    stream.close()
    assert not any((tmp_path / "tmp").iterdir())


def test_a_column_that_is_missing_or_empty_says_so() -> None:
    row = Row(a=None, b=1)
    assert row["b"] == 1
    with pytest.raises(ValueError, match=r"^column 'a' is empty$"):
        row["a"]
    with pytest.raises(ValueError, match=r"^column 'c' is missing: it has a, b$"):
        row["c"]
