"""Real architectures on the paper's data sets, by lists in params.yaml alone: offline, from a cache filled before."""

import json
import shutil
from pathlib import Path

import pytest

from tests import hub
from tests.data.tasks.fixtures import fill
from tests.pipeline.conftest import ROOT, Workspace, checkout
from w2s.core import checks

# Each of these runs for seconds.
pytestmark = pytest.mark.slow

TASKS = ["sciq", "boolq"]
NOT_SIMULATED: dict[str, list[str]] = {"of": [], "weak": [], "methods": []}
NOTHING = {"tasks": [], "weak": [], "strong": [], "methods": [], "ceilings": [], "simulated": NOT_SIMULATED}
MODELS = {"gpt2": {}, "qwen3": {"tune": "head"}, "bert": {}, "llama": {"tune": "lora", "keep": "full"}}


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The grid of two data sets, four architectures and three ways to tune, reproduced."""
    cache = tmp_path_factory.mktemp("cache")
    place = {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "HF_HOME": str(cache / "home")}
    workspace = checkout(tmp_path_factory.mktemp("laboratory"), **place)
    catalogue = checks.load(ROOT / "params.yaml").tasks
    for task in TASKS:
        fill(cache, task, catalogue[task])
    for name, changes in MODELS.items():
        folder = hub.ARCHITECTURES[name](
            tmp_path_factory.mktemp(name), hub.CORPUS, layers=1 if name in ("gpt2", "bert") else 2
        )
        hub.prefill(cache, f"lab/tiny-{name}", f"{len(name):040x}", folder)
        model = {"family": "hub", "repository": f"lab/tiny-{name}", "revision": "main", "parameters": 30000}
        workspace.set(f"models.{name}", model | {"finetune": {"learning_rate": 0.001, **changes}})
    for key, value in {
        "grid.ladder": [*MODELS],
        "grid.classification": {
            "tasks": TASKS,
            "weak": ["gpt2", "qwen3"],
            "strong": ["bert", "llama"],
            "methods": ["naive"],
            "ceilings": ["naive"],
            "simulated": NOT_SIMULATED,
        },
        "grid.preference": NOTHING,
        "grid.generation": NOTHING,
        "split": {"supervisor": 40, "student": 40, "validation": 10, "test": 60},
        "finetune.context": 128,
    }.items():
        workspace.set(key, value)
    workspace.git("commit", "-qam", "real models")
    workspace.run("python", "-m", "w2s", "reproduce", "--jobs", "2")
    return workspace


def test_the_whole_pipeline_runs_offline(laboratory: Workspace) -> None:
    assert "up to date" in laboratory.run("dvc", "repro")
    metrics = json.loads((laboratory.path / "reports/metrics.json").read_text())
    assert metrics.keys() == set(TASKS)
    for task in TASKS:
        assert metrics[task]["supervisor"].keys() == {"gpt2", "qwen3"}
        assert metrics[task]["ceiling"].keys() == metrics[task]["zero_shot"].keys() == {"bert", "llama"}
        assert metrics[task]["scratch"].keys() == {"bert"}  # adapters on random weights are no training from scratch
        for strong in ("bert", "llama"):
            assert 0 <= metrics[task]["student"]["gpt2"][strong]["naive"]["accuracy"] <= 1
    report = (laboratory.path / "reports/report.html").read_text()
    assert all(name in report for name in (*TASKS, *MODELS))


def test_the_exact_commits_are_recorded_and_weights_are_not_copied(laboratory: Workspace) -> None:
    for name in MODELS:
        folder = laboratory.path / "models/base/0" / name
        assert sorted(path.name for path in folder.iterdir()) == ["hub.json"]
        pinned = json.loads((folder / "hub.json").read_text())
        assert pinned["commit"] == f"{len(name):040x}"
        assert pinned["repository"] == f"lab/tiny-{name}"
        assert pinned["hidden"] == 32
    for task in TASKS:
        source = json.loads((laboratory.path / "data/tasks" / task / "0/source.json").read_text())
        assert source["commit"] == checks.load(ROOT / "params.yaml").tasks[task].options["revision"]


def test_what_is_kept_of_each_way_to_tune(laboratory: Workspace) -> None:
    kept: dict[str, set[str]] = {}
    for path in (laboratory.path / "models").rglob("*.safetensors"):
        kept.setdefault(path.parent.relative_to(laboratory.path / "models").as_posix(), set()).add(path.name)
    assert kept["supervisor/sciq/gpt2/0"] == {"model.safetensors", "head.safetensors"}  # labels are made by it
    assert kept["supervisor/sciq/qwen3/0"] == {"tuned.safetensors"}
    assert kept["student/boolq/gpt2/llama/naive/0"] >= {"tuned.safetensors", "model.safetensors"}
    assert not any("bert" in folder for folder in kept)
    run = json.loads((laboratory.path / "runs/supervisor/sciq/qwen3/0/run.json").read_text())
    assert run["trainable"] == 33  # the head of a model 32 wide


def test_a_branch_that_moved_changes_nothing_until_asked(laboratory: Workspace, tmp_path: Path) -> None:
    cache = Path(laboratory.environment["HF_HUB_CACHE"])
    now, later = cache / "models--lab--tiny-gpt2/snapshots" / f"{4:040x}", "f" * 40
    hub.prefill(cache, "lab/tiny-gpt2", later, shutil.copytree(now, tmp_path / "copy"))
    assert "up to date" in laboratory.run("dvc", "repro")
    laboratory.run("dvc", "repro", "--force", "--single-item", "base@gpt2-0")
    assert json.loads((laboratory.path / "models/base/0/gpt2/hub.json").read_text())["commit"] == later
    changed = laboratory.run("dvc", "status")
    assert "supervise-classification@sciq-gpt2-0" in changed
    assert "supervise-classification@sciq-qwen3-0" not in changed
