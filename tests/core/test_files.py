"""Files that pass between stages: whole, typed, joined by id, or refused by name."""

from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from w2s.core import files
from w2s.core.errors import UserError
from w2s.core.files import ANSWERS, LABELS, STEP, TEXTS

PREDICTIONS, SPOKEN = pa.schema([STEP, *LABELS]), pa.schema([STEP, *ANSWERS])
IDS = ["a", "b", "c"]


def error_of(read: Callable[[], object]) -> str:
    with pytest.raises(UserError) as error:
        read()
    return " ".join(str(error.value).split())


@given(st.dictionaries(st.text(), st.floats(0, 1)))
def test_labels_come_back_as_written(tmp_path_factory: pytest.TempPathFactory, labels: dict[str, float]) -> None:
    file = tmp_path_factory.getbasetemp() / "records" / "labels.parquet"
    files.write(file, LABELS, {"id": list(labels), "p": list(labels.values())})
    table = files.read_labels(file)
    assert dict(zip(table["id"].to_pylist(), table["p"].to_pylist(), strict=True)) == labels


@given(st.dictionaries(st.text(), st.text(), min_size=1))
def test_answers_come_back_as_written(tmp_path_factory: pytest.TempPathFactory, answers: dict[str, str]) -> None:
    file = tmp_path_factory.getbasetemp() / "records" / "answers.parquet"
    files.write(file, ANSWERS, {"id": list(answers), "answer": list(answers.values())})
    table = files.read_labels(file)
    assert dict(zip(*table.to_pydict().values(), strict=True)) == answers
    backwards = pa.chunked_array([list(answers)[::-1]])
    assert files.aligned(table, backwards, file).tolist() == [*answers.values()][::-1]
    files.write(file, SPOKEN, {"step": [3] * len(answers), "id": list(answers), "answer": list(answers.values())})
    assert files.read_predictions(file)["answer"].to_pylist() == [*answers.values()]
    assert error_of(lambda: files.read_labels(file)) == (
        f"{file}: columns are (step: int32, id: string, answer: string), expected (id: string, answer: string)"
    )


def test_answers_are_checked_as_labels_are(tmp_path: Path) -> None:
    file = tmp_path / "answers.parquet"
    for ids, answers, fault in (
        (["a", "a"], ["x", "y"], "an id occurs twice"),
        (["a", "b"], ["x", None], "has empty values"),
    ):
        files.write(file, ANSWERS, {"id": ids, "answer": answers})
        assert error_of(lambda: files.read_labels(file)) == f"{file}: {fault}"


def test_predictions_repeat_ids_over_steps_but_not_within_one(tmp_path: Path) -> None:
    file = tmp_path / "predictions.parquet"
    columns = {"step": [1, 1, 2, 2], "id": ["a", "b", "a", "b"], "p": [0.0, 1.0, 0.25, 0.75]}
    files.write(file, PREDICTIONS, columns)
    assert files.read_predictions(file).to_pydict() == columns
    files.write(file, PREDICTIONS, columns | {"id": ["a", "a", "a", "b"]})
    assert error_of(lambda: files.read_predictions(file)) == f"{file}: an id occurs twice"


def test_other_tools_open_the_files(tmp_path: Path) -> None:
    file = tmp_path / "inputs.parquet"
    columns = {"id": IDS, "text": ["x", "y", "ζ"], "group": ["1", "1", "2"]}
    files.write(file, TEXTS, columns)
    loaded = datasets.load_dataset("parquet", data_files=str(file), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.to_dict() == columns


def test_the_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        files.write(tmp_path / name, LABELS, {"id": IDS, "p": [0.1, 0.2, 0.3]})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_no_file(tmp_path: Path) -> None:
    file = tmp_path / "none.parquet"
    assert error_of(lambda: files.read_labels(file)) == f"{file}: no such file (`dvc repro` makes it)"


@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_a_truncated_file(tmp_path: Path, kept: float) -> None:
    file = tmp_path / "labels.parquet"
    files.write(file, LABELS, {"id": IDS, "p": [0.1, 0.2, 0.3]})
    file.write_bytes(file.read_bytes()[: int(kept * file.stat().st_size)])
    assert error_of(lambda: files.read_labels(file)).startswith(
        f"{file}: not a whole Parquet file; delete it and `dvc repro` again ("
    )


@given(st.binary(max_size=64), st.booleans())
def test_garbage(tmp_path_factory: pytest.TempPathFactory, garbage: bytes, magic: bool) -> None:
    file = tmp_path_factory.getbasetemp() / "garbage.parquet"
    file.write_bytes(b"PAR1" + garbage + b"PAR1" if magic else garbage)
    assert error_of(lambda: files.read_labels(file)).startswith(f"{file}: not a whole Parquet file")


@pytest.mark.slow
def test_no_flipped_bit_goes_unseen(tmp_path: Path) -> None:
    file = tmp_path / "labels.parquet"
    files.write(file, LABELS, {"id": [f"id {n}" for n in range(40)], "p": [n / 40 for n in range(40)]})
    whole, wanted = file.read_bytes(), files.read_labels(file)
    refused = 0
    for bit in range(8 * len(whole)):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        file.write_bytes(damaged)
        try:
            assert files.read_labels(file).equals(wanted)  # a bit that means nothing
        except UserError:
            refused += 1
    assert refused > 4 * len(whole)


def test_wrong_columns_and_types(tmp_path: Path) -> None:
    file = tmp_path / "labels.parquet"
    expected = "expected (id: string, p: double)"
    pq.write_table(pa.table({"id": IDS, "q": [0.1, 0.2, 0.3]}), file)
    assert error_of(lambda: files.read_labels(file)) == f"{file}: columns are (id: string, q: double), {expected}"
    pq.write_table(pa.table({"id": [1, 2], "p": [0.1, 0.2]}), file)
    assert error_of(lambda: files.read_labels(file)) == f"{file}: columns are (id: int64, p: double), {expected}"
    pq.write_table(pa.table({"id": IDS, "p": ["x", "y", "z"]}), file)
    assert error_of(lambda: files.read_labels(file)) == f"{file}: columns are (id: string, p: string), {expected}"


@pytest.mark.parametrize(
    ("ids", "p", "fault"),
    [
        (["a", None, "c"], [0.1, 0.2, 0.3], "has empty values"),
        (IDS, [0.1, None, 0.3], "has empty values"),
        (["a", "b", "a"], [0.1, 0.2, 0.3], "an id occurs twice"),
        (IDS, [0.1, 1.0001, 0.3], "column p has a value that is not a probability in [0, 1]"),
        (IDS, [0.1, -1e-9, 0.3], "column p has a value that is not a probability in [0, 1]"),
        (IDS, [0.1, float("nan"), 0.3], "column p has a value that is not a probability in [0, 1]"),
        (IDS, [0.1, float("inf"), 0.3], "column p has a value that is not a probability in [0, 1]"),
    ],
)
def test_wrong_values(tmp_path: Path, ids: list[str], p: list[float], fault: str) -> None:
    labels, predictions = tmp_path / "labels.parquet", tmp_path / "predictions.parquet"
    files.write(labels, LABELS, {"id": ids, "p": p})
    assert error_of(lambda: files.read_labels(labels)) == f"{labels}: {fault}"
    files.write(predictions, PREDICTIONS, {"step": [1, 1, 1], "id": ids, "p": p})
    assert error_of(lambda: files.read_predictions(predictions)) == f"{predictions}: {fault}"


def table(ids: list[str], p: list[float]) -> pa.Table:
    return pa.table({"id": ids, "p": p}, schema=LABELS)


@given(st.dictionaries(st.text(max_size=5), st.floats(0, 1), min_size=1), st.randoms())
def test_labels_meet_inputs_by_id_in_any_order(labels: dict[str, float], random: object) -> None:
    shuffled = list(labels)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    found = files.aligned(table(list(labels), list(labels.values())), pa.chunked_array([shuffled]), Path("x"))
    assert found.tolist() == [labels[key] for key in shuffled]


@given(st.sets(st.integers(0, 12), min_size=1), st.sets(st.integers(0, 12), min_size=1))
def test_ids_that_do_not_match_are_counted(labelled: set[int], wanted: set[int]) -> None:
    labels, ids = table([str(key) for key in labelled], [0.5] * len(labelled)), pa.chunked_array([[*map(str, wanted)]])
    if labelled == wanted:
        assert files.aligned(labels, ids, Path("x")).tolist() == [0.5] * len(wanted)
    else:
        counts = f"({len(wanted - labelled)} missing, {len(labelled - wanted)} unknown)"
        assert error_of(lambda: files.aligned(labels, ids, Path("x"))) == f"x: ids do not match the inputs {counts}"


def interrupted(file: Path, by: BaseException) -> None:
    """Half of a file, and then something happens."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("half")
    raise by


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "new" / "file"
    with pytest.raises(KeyboardInterrupt), files.atomic(file) as temporary:
        interrupted(temporary, KeyboardInterrupt())
    assert list(file.parent.iterdir()) == []
    with files.atomic(file) as temporary:
        temporary.write_text("whole")
        assert not file.exists()
    with pytest.raises(ValueError, match="again"), files.atomic(file) as temporary:
        interrupted(temporary, ValueError("again"))
    assert [(path.name, path.read_text()) for path in file.parent.iterdir()] == [("file", "whole")]


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with files.atomic(folder) as temporary:
        temporary.joinpath("live").mkdir(parents=True)
        (temporary / "live" / "old").write_text("old")
    with pytest.raises(ValueError, match="stop"), files.atomic(folder) as temporary:
        interrupted(temporary / "live" / "half", ValueError("stop"))
    assert [path.name for path in tmp_path.rglob("*")] == ["model", "live", "old"]
    left = tmp_path / ".model.tmp"  # by a process that was killed
    left.mkdir()
    (left / "stale").touch()
    with files.atomic(folder) as temporary:
        assert not temporary.exists()
        temporary.mkdir()
        (temporary / "new").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["model", "new"]


def test_a_failed_write_leaves_the_old_table(tmp_path: Path) -> None:
    file = tmp_path / "labels.parquet"
    files.write(file, LABELS, {"id": IDS, "p": [0.1, 0.2, 0.3]})
    with pytest.raises(pa.ArrowException):
        files.write(file, LABELS, {"id": IDS, "p": ["not", "a", "number"]})
    assert np.array_equal(files.read_labels(file)["p"].to_numpy(), [0.1, 0.2, 0.3])
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("content", "message"), [(None, "no such file"), ("{", "not whole JSON"), ("\x00", "not whole")]
)
def test_json_that_is_not_there_or_not_whole_is_told_in_one_line(
    tmp_path: Path, content: str | None, message: str
) -> None:
    path = tmp_path / "some.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=rf"some\.json: {message}"):
        files.read_json(path)
