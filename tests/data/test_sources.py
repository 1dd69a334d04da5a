"""Rows of files: every kind, every value as it stands, an order that the seed alone decides."""

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from w2s.core.errors import UserError
from w2s.data.sources import Row, shuffled_rows

CONTENT = [{"text": text, "label": index % 3} for index, text in enumerate(["None", "NA", "", 'a "b", c', "ü\nx", "1"])]


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
