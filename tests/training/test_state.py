"""A stopped stage goes on where it was and ends with the same bits, or starts over where what it reads has changed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from stages import ceiling, control, student, supervise
from tests.training import kills
from w2s.core import files
from w2s.models.batches import Budget
from w2s.training import state
from w2s.training.state import Checkpoint, Checkpoints, TrainState

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["classification", "generation"])
def setting(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A repository of this setting, in which this process now stands; its stages save after every update."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(state, "SECONDS", 0.0)
    monkeypatch.setattr(state, "SHARE", 1e9)
    kills.make(request.param)
    return request.param


class StoppedError(Exception):
    """Stands for the end of a process."""


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Runs a method's student until it has saved so many times."""

    def run(method: str, saves: int) -> None:
        left = [saves]
        save = Checkpoint.save

        def save_and_stop(checkpoint: Checkpoint, found: TrainState) -> None:
            save(checkpoint, found)
            left[0] -= 1
            if left[0] == 0:
                raise StoppedError

        with monkeypatch.context() as patch:
            patch.setattr(Checkpoint, "save", save_and_stop)
            with pytest.raises(StoppedError):
                train(method)

    return run


def train(method: str) -> dict[str, bytes]:
    student.main("mine", "xs", "l", method, 0)
    return kills.outputs(method)


def stops(method: str) -> list[int]:
    """Early, in the middle and after the last update, of one training or of the several that a method takes."""
    return {"path": [9, 20, 37, 60], "probe": [5, 20, 33], "texts": [5, 20, 33]}.get(method, [1, 13, 20])


@pytest.mark.slow
@pytest.mark.parametrize("method", kills.METHODS)
def test_a_stopped_stage_ends_with_the_same_bits(
    setting: str, method: str, stopped: Callable[[str, int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    if setting == "generation" and method in kills.NOT_IN_WORDS:
        pytest.skip("means nothing there")
    expected = train(method)
    assert not state.FOLDER.exists() or not list(state.FOLDER.iterdir())
    for saves in stops(method):
        stopped(method, saves)
        kills.remove(method)
        capsys.readouterr()
        assert train(method) == expected
        assert "goes on after update" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["classification"], indirect=True)
def test_every_training_of_a_stage_goes_on(
    setting: str, stopped: Callable[[str, int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    stopped("path", 45)  # 20 updates each of s, l, l
    capsys.readouterr()
    train("path")
    said = [line for line in capsys.readouterr().err.splitlines() if "goes on" in line]
    assert said == [
        "student xs→l path s: goes on after update 20 of 20",
        "student xs→l path l: goes on after update 20 of 20",
        "student xs→l path: goes on after update 5 of 20",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["classification"], indirect=True)
def test_a_stage_that_reads_something_else_starts_over_and_says_so(
    setting: str, stopped: Callable[[str, int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    stopped("naive", 10)
    labels = files.weak_labels("mine", "xs", 0) / "student.parquet"
    table = files.read_labels(labels).to_pydict()
    files.write(labels, files.LABELS, table | {"p": table["p"][::-1]})
    capsys.readouterr()
    found = train("naive")
    err = capsys.readouterr().err
    assert f"checkpoints/student@mine@xs@l@naive@0: {labels.parent} is not what it was; starting over" in err
    assert "goes on" not in err
    assert train("naive") == found


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["classification"], indirect=True)
def test_a_damaged_state_is_not_used(
    setting: str, stopped: Callable[[str, int], None], capsys: pytest.CaptureFixture[str]
) -> None:
    expected = train("naive")
    stopped("naive", 10)
    (file,) = state.FOLDER.rglob("state.safetensors")
    file.write_bytes(file.read_bytes()[:-10])
    capsys.readouterr()
    assert train("naive") == expected
    assert f"{file}: damaged (" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["classification"], indirect=True)
def test_short_stages_save_nothing(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "SECONDS", 60.0)
    monkeypatch.setattr(Checkpoint, "save", None)
    train("naive")


def test_what_is_kept_beside_weights_comes_back(tmp_path: Path) -> None:
    """A budget that want of memory has halved, as an example."""

    def checkpoint(budget: Budget) -> Checkpoint:
        stage = Checkpoints(tmp_path / "state", Path("runs/0"), [])
        return stage.of(Path("runs/.0.tmp/via/m"), {"budget": budget}, is_intermediate=False)

    assert checkpoint(Budget(64)).load() is None
    curves = [(1, {"loss": 0.1 + 0.2})]
    checkpoint(Budget(16)).save(TrainState(step=1, weights={}, optimizer={}, curves=curves))
    budget = Budget(64)
    found = checkpoint(budget).load()
    assert found
    assert found.curves == [[1, {"loss": 0.1 + 0.2}]]
    assert budget.tokens == 16


@pytest.mark.parametrize("setting", ["classification"], indirect=True)
@pytest.mark.parametrize(
    ("stage", "arguments"),
    [
        (supervise, {"task": "mine", "weak": "xs", "seed": 0}),
        (ceiling, {"task": "mine", "strong": "l", "method": "texts", "seed": 0}),
        (control, {"task": "mine", "strong": "l", "seed": 0}),
        (student, {"task": "mine", "weak": "xs", "strong": "l", "method": "path", "seed": 0}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_checked_is_what_the_stage_depends_on(
    setting: str, stage: object, arguments: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str] = []

    @contextmanager
    def resumable(*cell: object, reads: list[Path]) -> Iterator[None]:
        found.extend(map(str, reads))
        raise StoppedError
        yield

    monkeypatch.setattr(stage, "resumable", resumable)
    with pytest.raises(StoppedError):
        stage.main(**arguments)  # type: ignore[attr-defined]
    name = stage.__name__.removeprefix("stages.")  # type: ignore[attr-defined]
    deps = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"][f"{name}-classification"]["deps"]
    for key, value in arguments.items():
        deps = [dep.replace(f"${{item.{key}}}", str(value)) for dep in deps]
    assert sorted(found) == sorted(dep.replace("${setting}", setting) for dep in deps)


@pytest.mark.slow
def test_killed_stages_end_as_if_they_had_not_been(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with SIGKILL at random moments; `python -m tests.training.kills 100` does more of it."""
    monkeypatch.chdir(tmp_path)
    counts = kills.main(4)
    assert counts["ended"] > 0
    assert counts["started over"] == counts["failed"] == counts["other bits"] == 0
