"""A ready-made grid takes the place of the one in params.yaml, and of nothing else."""

import re
from pathlib import Path

import pytest
import yaml

from w2s.core.checks import load
from w2s.core.errors import UserError
from w2s.core.params import Grid
from w2s.pipeline import grids

ROOT = Path(__file__).parents[2]


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the committed parameters, in the folder where this process now stands."""
    file = tmp_path / "params.yaml"
    file.write_text((ROOT / "params.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    return file


@pytest.mark.parametrize("name", [path.name for path in (ROOT / "grids").glob("*.yaml")])
def test_a_grid_is_put_in_place_and_back_again(params: Path, name: str) -> None:
    before = params.read_text()
    committed = re.search(r"^grid:.*?(?=^split:)", before, re.MULTILINE | re.DOTALL)
    assert committed
    grids.put(ROOT / "grids" / name)
    after = params.read_text()
    assert load(params).grid.reports == f"reports/{Path(name).stem}"
    assert after.split("\nsplit:")[1] == before.split("\nsplit:")[1]
    assert after.split("grid:")[0] == before.split("grid:")[0]
    Path("own.yaml").write_text(committed[0])
    grids.put(Path("own.yaml"))
    assert params.read_text() == before


def test_the_confirmation_is_the_suite_over_other_seeds() -> None:
    suite, confirmation = (
        yaml.safe_load((ROOT / "grids" / f"{name}.yaml").read_text())["grid"] for name in ("suite", "confirmation")
    )
    assert not {*suite.pop("seeds")} & {*confirmation.pop("seeds")}
    assert {*confirmation.pop("ladder")} <= {*suite.pop("ladder")}
    assert suite.pop("reports") != confirmation.pop("reports")
    assert suite == confirmation


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("grid: [", "not valid YAML"),
        ("split: {}\n", "must hold one key, grid"),
        ("grid: {}\nsplit: {}\n", "must hold one key, grid"),
        ("grid: {}\n", "grid: reports is missing"),
        ("grid: {repotrs: a}\n", "grid: repotrs: unknown name 'repotrs' (known: " + ", ".join(Grid.model_fields)),
    ],
)
def test_another_file_is_refused_and_nothing_changes(params: Path, content: str, told: str) -> None:
    before = params.read_text()
    Path("mine.yaml").write_text(content)
    with pytest.raises(UserError) as error:
        grids.put(Path("mine.yaml"))
    assert str(error.value).startswith(f"mine.yaml: {told}")
    assert params.read_text() == before


def test_no_file(params: Path) -> None:
    with pytest.raises(UserError, match=r"^none.yaml: cannot be read \("):
        grids.put(Path("none.yaml"))
