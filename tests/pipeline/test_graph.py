"""The graph itself, before anything runs: no leak, and honest dependencies."""

import re
import shutil
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from tests.closure import CHOSEN, import_closure
from tests.pipeline.conftest import MICRO, ROOT

TRUTH = re.compile(r"data/tasks/[^/]+/(student|validation|test)/truth\.parquet")
SIMULATED = re.compile(r"data/weak_labels/[^/]+/(random|class|hard)-errors/.*")
READS_TRUTH = {"ceiling", "control", "evaluate", "simulate"}


def edges(root: Path) -> dict[str, tuple[set[str], set[str]]]:
    """Every stage of the resolved DAG: the paths it reads and those it writes."""
    with Repo(str(root)) as repo:
        return {
            stage.name: ({dep.def_path for dep in stage.deps}, {out.def_path for out in stage.outs})
            for stage in repo.index.stages
        }


def overlaps(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def kind(name: str) -> str:
    """What a stage does, whatever the setting: `ceiling` of `ceiling-preference@preferences-m-naive-0`."""
    return name.split("@")[0].split("-")[0]


def leaks(graph: dict[str, tuple[set[str], set[str]]]) -> list[str]:
    """Stages other than those that may, which read hidden truth or anything made from it.

    Students of simulated supervisors may read these supervisors' labels, and no other student may.
    """
    tainted = {path for _, outs in graph.values() for path in outs if TRUTH.fullmatch(path)}
    assert tainted, "no truth file found: the test would prove nothing"
    found: dict[str, list[str]] = {}
    grown = True
    while grown:
        grown = False
        for name, (deps, outs) in graph.items():
            touched = [dep for dep in deps if any(overlaps(dep, path) for path in tainted)]
            if len(touched) > len(found.get(name, [])):
                found[name] = touched
                tainted |= outs
                grown = True
    allowed = READS_TRUTH | {"plot"}  # plot shows what evaluate measured
    return [
        f"{name} reads {path}"
        for name, paths in found.items()
        for path in paths
        if kind(name) not in allowed and not (name.startswith("student-simulated@") and SIMULATED.fullmatch(path))
    ]


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A repository with this DAG, to plant faults in."""
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params | {"grid": MICRO["grid"]}))
    Repo.init(str(tmp_path), no_scm=True)
    return tmp_path


def edit(root: Path, stage: str, dep: str) -> None:
    content = yaml.safe_load((root / "dvc.yaml").read_text())
    content["stages"][stage]["deps"] = [*content["stages"][stage]["deps"], dep]
    (root / "dvc.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def test_no_path_from_hidden_truth_to_students_or_their_labels(planted: Path) -> None:
    graph = edges(planted)
    assert {
        "student-classification@reviews-xs-m-confidence-0",
        "student-preference@preferences-xs-m-generative-0",
        "student-generation@endgames-chess-xs-chess-m-bootstrap-0",
        "student-simulated@reviews-random-errors-m-naive-0",
        "label-generation@endgames-chess-xs-0",
        "recipe-generation@bootstrap",
    } <= graph.keys()
    assert leaks(graph) == []
    assert leaks(edges(ROOT)) == []


@pytest.mark.parametrize(
    ("stage", "dep"),
    [
        ("label-classification", "data/tasks/${item.task}/student/truth.parquet"),
        ("label-generation", "data/tasks/${item.task}/student/truth.parquet"),
        ("student-classification", "data/tasks/${item.task}/test/truth.parquet"),
        ("student-preference", "data/tasks"),  # a folder around it
        ("student-generation", "models/ceiling"),  # something made from it
        (
            "student-classification",
            "data/weak_labels/reviews/random-errors/0/student.parquet",
        ),  # a simulated supervisor
        ("student-simulated", "data/tasks/${item.task}/student/truth.parquet"),
        ("recipe-classification", "models/control"),
        ("supervise-preference", "data/tasks/${item.task}/validation/truth.parquet"),
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
    """But for a student's loss: its code comes through the recipe, so that no other loss concerns the student."""
    script = re.match(r"python -m stages\.(\w+)", STAGES[name]["cmd"])
    assert script
    closure = import_closure(ROOT / "stages" / f"{script[1]}.py", ROOT)
    if script[1] == "student":
        assert "models/recipe/${setting}/${item.method}" in STAGES[name]["deps"]
        losses = {path for path in closure if path.startswith("w2s/methods/losses/")} - {
            "w2s/methods/losses/__init__.py",
            "w2s/methods/losses/cross_entropy.py",
        }
        assert losses <= import_closure(ROOT / "stages/recipe.py", ROOT)
        closure -= losses
    assert code_deps(STAGES[name], ROOT) == closure


def test_settings_share_their_stages() -> None:
    """What differs between settings is what they are repeated over, and nothing else."""
    for name, stage in STAGES.items():
        if name.split("-")[-1] in ("preference", "generation", "simulated"):
            first = STAGES[f"{kind(name)}-classification"]
            assert {key: value for key, value in stage.items() if key not in ("matrix", "vars")} == {
                key: value for key, value in first.items() if key not in ("matrix", "vars")
            }


def test_a_planted_import_or_dependency_is_found(tmp_path: Path) -> None:
    for folder in ("w2s", "stages"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    loop = tmp_path / "w2s/training/loop.py"
    loop.write_text(loop.read_text() + "\n\ndef late() -> None:\n    from w2s.results import metrics  # noqa\n")
    closure = import_closure(tmp_path / "stages/supervise.py", tmp_path)
    deps = code_deps(STAGES["supervise-classification"], ROOT)
    assert closure - deps == {"w2s/results/__init__.py", "w2s/results/metrics.py"}
    assert "w2s/results/metrics.py" not in import_closure(tmp_path / "stages/label.py", tmp_path)


def test_every_lookup_by_name_is_known_to_the_closure() -> None:
    """Modules are imported by name in one file only, whose callers say from which package."""
    files = {path: path.read_text() for path in (ROOT / "w2s").rglob("*.py")}
    dynamic = {str(path.relative_to(ROOT)) for path, text in files.items() if "import_module" in text}
    assert dynamic == {"w2s/core/registry.py"}
    for path, text in files.items():
        calls = len(re.findall(r"\bchosen\(", text)) - (path.name == "registry.py")
        assert calls == len(CHOSEN.findall(text)), path
        assert all((ROOT / package.replace(".", "/")).is_dir() for package in CHOSEN.findall(text))
