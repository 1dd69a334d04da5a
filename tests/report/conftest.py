"""Experiments that several tests of the report read, each made once."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.report.made import CLASSIFICATION, THREE, Experiment, experiment
from w2s.report import figures


@pytest.fixture(scope="session")
def one(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """Classification alone, with features."""
    return experiment(tmp_path_factory.mktemp("one"), CLASSIFICATION)


@pytest.fixture(scope="session")
def three(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """All three settings."""
    return experiment(tmp_path_factory.mktemp("three"), *THREE)


TOY = """
from matplotlib.figure import Figure

SECTION = "overview"
ORDER = 0
TABLE = "results"
TITLE = "Accuracy of <every> cell"
CAPTION = "One point a cell."


def draw(tables, grid):
    figure = Figure(figsize=(10, 3))
    figure.subplots().plot([row["student_accuracy"] for row in tables[TABLE]], "o")
    return figure
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A figure's file in a second folder of the package."""
    folder = tmp_path / "toys"
    folder.mkdir()
    file = folder / "toy.py"
    file.write_text(TOY)
    monkeypatch.setattr(figures, "__path__", [*figures.__path__, str(folder)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield file
    sys.modules.pop("w2s.report.figures.toy", None)
