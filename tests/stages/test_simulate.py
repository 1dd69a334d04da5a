"""Stages gather and simulate, in each setting: from supervisors' labels on disk to those of others."""

from pathlib import Path

import numpy as np
import pytest

from stages import gather, simulate
from tests.core.test_params import written
from tests.methods.test_compatibility import NONE
from w2s.core import files

TASKS = {"classification": "reviews", "preference": "preferences", "generation": "endgames"}
SUPERVISORS = ["s", "xs", "m"]  # errors are those of the first in this order
SIZE = 40
IDS = [f"example/{k:02}" for k in range(SIZE)]


@pytest.fixture(params=TASKS)
def setting(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A setting, in whose repository this process now stands, its supervisors' labels gathered."""
    monkeypatch.chdir(tmp_path)
    setting = request.param
    task = TASKS[setting]
    simulated = {"of": SUPERVISORS, "weak": ["random-errors"], "methods": ["naive"]}
    cells = {"tasks": [task], "weak": SUPERVISORS, "strong": ["l"], "methods": ["naive"], "ceilings": ["naive"]}
    blocks = {f"grid.{name}": NONE for name in TASKS}
    written(Path("params.yaml"), blocks | {f"grid.{setting}": cells | {"simulated": simulated}})
    rng = np.random.default_rng(0)
    for part in ("student", "validation", "test"):
        # A pair is as long as both of its texts together.
        texts = [["a" * k, "b" * (3 * (SIZE - k))] for k in range(SIZE)]
        group = {"id": IDS, "group": IDS}
        if setting == "preference":
            first, second = zip(*texts, strict=True)
            files.write(files.inputs(task, 0, part), files.PAIRS, group | {"first": first, "second": second})
        else:
            files.write(files.inputs(task, 0, part), files.TEXTS, group | {"text": list(map("".join, texts))})
        write_labels(files.truth(task, 0, part), setting, rng)
        for weak in SUPERVISORS:
            write_labels(files.weak_labels(task, weak, 0) / f"{part}.parquet", setting, rng)
    for weak in SUPERVISORS:
        gather.main(task, weak, 0)
    return setting


def write_labels(path: Path, setting: str, rng: np.random.Generator) -> None:
    """Labels drawn at random, in an order of their own; truth is 0 or 1."""
    order = rng.permutation(SIZE)
    if setting == "generation":
        files.write(path, files.ANSWERS, {"id": np.array(IDS)[order], "answer": rng.choice(["e4", "Nf3", "O-O"], SIZE)})
    else:
        p = rng.integers(0, 2, SIZE) if "truth" in path.parts else rng.random(SIZE)
        files.write(path, files.LABELS, {"id": np.array(IDS)[order], "p": p.astype(float)})


def read(path: Path) -> np.ndarray:
    """Labels in the order of `IDS`."""
    return files.read_labels(path).sort_by("id").to_pandas().iloc[:, -1].to_numpy()


def made(setting: str, name: str, part: str = "student") -> np.ndarray:
    simulate.main(TASKS[setting], name, 0)
    return read(files.weak_labels(TASKS[setting], name, 0) / f"{part}.parquet")


def wrong(setting: str, answers: np.ndarray, part: str = "student") -> np.ndarray:
    truth = read(files.truth(TASKS[setting], 0, part))
    return answers != truth if setting == "generation" else (answers > 0.5) != (truth > 0.5)


@pytest.mark.parametrize("part", ["student", "validation", "test"])
def test_errors_are_as_many_as_those_of_the_first(setting: str, part: str) -> None:
    first = read(files.weak_labels(TASKS[setting], SUPERVISORS[0], 0) / f"{part}.parquet")
    errors = wrong(setting, first, part).sum()
    assert wrong(setting, made(setting, "random-errors", part), part).sum() == errors
    # The shorter the later in IDS.
    assert np.flatnonzero(wrong(setting, made(setting, "long-errors", part), part)).tolist() == list(range(errors))
    assert wrong(setting, made(setting, "short-errors", part), part)[-errors:].all()


def test_true_labels_are_the_firsts_but_so_many(setting: str) -> None:
    first = read(files.weak_labels(TASKS[setting], SUPERVISORS[0], 0) / "student.parquet")
    told = made(setting, "true-labels-20") != first
    assert told.any()
    assert not wrong(setting, made(setting, "true-labels-20"))[told].any()
    assert np.array_equal(
        made(setting, "true-labels-20", "test"),
        read(files.weak_labels(TASKS[setting], SUPERVISORS[0], 0) / "test.parquet"),
    )


def test_an_ensemble_sees_all_supervisors_and_no_truth(setting: str) -> None:
    before = made(setting, "ensemble")
    for part in ("student", "validation", "test"):
        write_labels(files.truth(TASKS[setting], 0, part), setting, np.random.default_rng(1))
    assert np.array_equal(made(setting, "ensemble"), before)
    rng = np.random.default_rng(2)
    for weak in SUPERVISORS:
        write_labels(files.weak_labels(TASKS[setting], weak, 0) / "student.parquet", setting, rng)
        gather.main(TASKS[setting], weak, 0)
        after = made(setting, "ensemble")
        assert not np.array_equal(after, before)
        before = after
