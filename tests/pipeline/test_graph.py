"""The graph itself, before anything runs: no leak, and honest dependencies."""

import re
import shutil
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from tests.closure import REGISTRIES, import_closure
from tests.pipeline.conftest import ROOT

TRUTH = re.compile(r"data/tasks/[^/]+/(student|validation|test)/truth\.parquet")
READS_TRUTH = {"ceiling", "control", "evaluate"}


def edges(root: Path) -> dict[str, tuple[set[str], set[str]]]:
    """Every stage of the resolved DAG: the paths it reads and those it writes."""
    with Repo(str(root)) as repo:
        return {
            stage.name: ({dep.def_path for dep in stage.deps}, {out.def_path for out in stage.outs})
            for stage in repo.index.stages
        }


def overlaps(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def leaks(graph: dict[str, tuple[set[str], set[str]]]) -> list[str]:
    """Stages other than those that may, which read hidden truth or anything made from it."""
    tainted = {path for _, outs in graph.values() for path in outs if TRUTH.fullmatch(path)}
    assert tainted, "no truth file found: the test would prove nothing"
    found: dict[str, str] = {}
    grown = True
    while grown:
        grown = False
        for name, (deps, outs) in graph.items():
            touched = [dep for dep in deps if any(overlaps(dep, path) for path in tainted)]
            if touched and name not in found:
                found[name] = touched[0]
                tainted |= outs
                grown = True
    allowed = READS_TRUTH | {"plot"}  # plot shows what evaluate measured
    return [f"{name} reads {path}" for name, path in found.items() if name.split("@")[0] not in allowed]


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A repository with this DAG, to plant faults in."""
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    Repo.init(str(tmp_path), no_scm=True)
    return tmp_path


def edit(root: Path, stage: str, dep: str) -> None:
    content = yaml.safe_load((root / "dvc.yaml").read_text())
    content["stages"][stage]["deps"].append(dep)
    (root / "dvc.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def test_no_path_from_hidden_truth_to_students_or_their_labels() -> None:
    graph = edges(ROOT)
    assert {"student@reviews-xs-l-confidence-0", "label@reviews-xs-0"} <= graph.keys()
    assert leaks(graph) == []


@pytest.mark.parametrize(
    ("stage", "dep"),
    [
        ("label", "data/tasks/${item.task}/student/truth.parquet"),
        ("student", "data/tasks/${item.task}/test/truth.parquet"),
        ("student", "data/tasks"),  # a folder around it
        ("student", "models/ceiling"),  # something made from it
        ("supervise", "data/tasks/${item.task}/validation/truth.parquet"),
    ],
)
def test_a_planted_leak_is_found(planted: Path, stage: str, dep: str) -> None:
    edit(planted, stage, dep)
    assert any(found.startswith(f"{stage}@") for found in leaks(edges(planted)))


def code_deps(stage: dict, root: Path) -> set[str]:
    """The Python files among a stage's dependencies, folders expanded."""
    found = set()
    for dep in stage["deps"]:
        if dep.startswith(("stages/", "w2s/")):
            path = root / dep
            found |= {str(p.relative_to(root)) for p in path.glob("*.py")} if path.is_dir() else {dep}
    return {path for path in found if path.endswith(".py")}


STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


@pytest.mark.parametrize("name", STAGES)
def test_code_dependencies_are_the_import_closure(name: str) -> None:
    assert STAGES[name]["cmd"].startswith(f"python -m stages.{name}")
    assert code_deps(STAGES[name], ROOT) == import_closure(ROOT / "stages" / f"{name}.py", ROOT)


def test_a_planted_import_or_dependency_is_found(tmp_path: Path) -> None:
    for folder in ("w2s", "stages"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    loop = tmp_path / "w2s/training/loop.py"
    loop.write_text(loop.read_text() + "\n\ndef late() -> None:\n    from w2s.analysis import metrics  # noqa\n")
    closure = import_closure(tmp_path / "stages/student.py", tmp_path)
    assert closure - code_deps(STAGES["student"], ROOT) == {"w2s/analysis/__init__.py", "w2s/analysis/metrics.py"}
    assert "w2s/analysis/metrics.py" not in import_closure(tmp_path / "stages/label.py", tmp_path)


def test_every_lookup_by_name_is_a_known_registry() -> None:
    """An import that the closure cannot read from the source must be declared to it."""
    dynamic = {
        str(path.relative_to(ROOT)) for path in (ROOT / "w2s").rglob("*.py") if "importlib.import" in path.read_text()
    }
    assert dynamic == REGISTRIES.keys()
    assert all((ROOT / package).is_dir() for package in REGISTRIES.values())
