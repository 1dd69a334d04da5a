"""What is read of a grid's files: by id, by place, and with an error that names the file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from tests.results.made_up import CHESS, PREFERENCES, evaluated, make, parameters, write
from w2s.core import files
from w2s.core.errors import UserError
from w2s.results.evaluate import evaluate


def test_a_supervisor_of_words_must_not_answer_by_probabilities(work: Path) -> None:
    params = parameters(generation=CHESS)
    make(work, params)
    path = work / "data/weak_labels/endgames/chess-xs/1/test.parquet"
    write(path, ids := files.read_labels(path)["id"].to_pylist(), dict.fromkeys(ids, 0.5))
    with pytest.raises(UserError, match=r"chess-xs/1/test\.parquet: has the column p, but the task's truth has answer"):
        evaluate(params, Path("reports"))


@pytest.mark.slow
def test_row_order_does_not_matter_and_reruns_give_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = parameters()
    written = []
    for shuffle in (1, 2):
        root = tmp_path / str(shuffle)
        make(root, params, shuffle=shuffle)
        monkeypatch.chdir(root)
        evaluated(params)
        written.append({path.name: path.read_bytes() for path in (root / "reports").rglob("*.*")})
    assert written[0] == written[1]


@pytest.mark.slow
def test_another_task_or_leftover_changes_nothing(work: Path) -> None:
    both = parameters(tasks=["reviews", "other"], preference=PREFERENCES, generation=CHESS)
    make(work, both)
    together = evaluated(both, "both")["results.csv"]
    assert evaluated(parameters(), "one")["results.csv"] == [r for r in together if r["task"] == "reviews"]
    fewer = evaluated(parameters(seeds=(0,), methods=["naive"]), "fewer")["results.csv"]
    assert [r["student_low"] for r in fewer] == [
        r["student_low"] for r in together if (r["task"], r["seed"], r["method"]) == ("reviews", "0", "naive")
    ]


def drop_an_id(path: Path) -> None:
    table = files.read_labels(path)
    files.write(path, files.LABELS, {name: table[name][1:] for name in table.column_names})


def halve_the_truth(path: Path) -> None:
    table = files.read_labels(path)
    files.write(path, files.LABELS, {"id": table["id"], "p": np.full(len(table), 0.5)})


def drop_a_snapshot(path: Path) -> None:
    table = files.read_predictions(path)
    files.write(path, table.schema, table.filter(pc.not_equal(table["step"], 10)).to_pydict())


@pytest.mark.parametrize(
    ("path", "spoil", "message"),
    [
        (
            "data/weak_labels/reviews/s/1/test.parquet",
            drop_an_id,
            "test.parquet: ids do not match.*1 missing, 0 unknown",
        ),
        ("data/tasks/reviews/0/truth/test.parquet", drop_an_id, "ids do not match.*0 missing, 1 unknown"),
        ("data/tasks/reviews/0/truth/test.parquet", halve_the_truth, "test.parquet: truth must be 0 or 1"),
        (
            "runs/student/reviews/xs/l/naive/2/predictions.parquet",
            Path.unlink,
            "naive/2/predictions.parquet: no such",
        ),
        (
            "runs/ceiling/reviews/l/naive/1/predictions.parquet",
            drop_a_snapshot,
            "l/naive/1: predicts at steps .20, 30., the first seed at",
        ),
        ("runs/ceiling/reviews/l/naive/0/run.json", Path.unlink, "l/naive/0/run.json: not a run's record"),
    ],
)
def test_faults_name_the_file(work: Path, path: str, spoil: Callable[[Path], None], message: str) -> None:
    params = parameters()
    make(work, params)
    spoil(work / path)
    with pytest.raises(UserError, match=message):
        evaluate(params, Path("reports"))
