"""The plan: what it says will run is what `dvc repro` runs."""

import shutil
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from stages.method import pinned
from tests.pipeline.conftest import CHESS, MICRO, PREFERENCES, REVIEWS, Workspace, checkout
from w2s.core import files
from w2s.core.checks import load
from w2s.pipeline.cost.plan import Status
from w2s.pipeline.cost.survey import survey

# Each of these runs for seconds.
pytestmark = pytest.mark.slow

KEPT, CACHED, RUN = Status
CONFIDENCE = ("student", "reviews", "xs", "m", "confidence", "0")
NAIVE = ("student", "reviews", "xs", "m", "naive", "0")
BOOTSTRAP = ("student", "endgames", "chess-xs", "chess-m", "bootstrap", "0")
LAST = {("evaluate",), ("plot",)}
LADDER = {("base", model, "0") for model in MICRO["grid"]["ladder"]}
METHODS = {
    ("method", setting, method, "0")
    for setting, block in (("classification", REVIEWS), ("preference", PREFERENCES), ("generation", CHESS))
    for method in block["methods"]
}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A checkout with a micro grid of which nothing has run."""
    return checkout(tmp_path_factory.mktemp("fresh"))


@pytest.fixture(scope="module")
def finished(fresh: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The same when everything has run, as far as DVC can tell: placeholders stand for all outputs."""
    path = tmp_path_factory.mktemp("finished") / "repo"
    shutil.copytree(fresh.path, path)
    with Repo(str(path)) as repo:
        outs = [Path(out.fs_path) for out in repo.index.outs]
    for out in outs:
        file = out if out.suffix else out / "file"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(str(out.relative_to(path)))
    workspace = Workspace(path)
    pin_code_and_methods(workspace)
    workspace.run("dvc", "commit", "--force")
    workspace.git("add", "-A")
    workspace.git("commit", "-qm", "results")
    return workspace


def pin_code_and_methods(workspace: Workspace) -> None:
    """Do what the stages `code` and `method` do, without the time that their checks take."""
    workspace.run("python", "-m", "stages.code")
    path = workspace.path
    params = load(path / "params.yaml")
    for _, setting, method, _ in METHODS:
        folder = path / files.method(setting, method, 0)
        shutil.rmtree(folder)
        names = (f"settings/{setting}", f"students/{method}")
        code = {name: files.read_json(path / files.CODE / f"{name}.json") for name in names}
        content = pinned(params, setting, method, code)
        files.write_json(folder / "method.json", content)
        for model in content["base_models"]:
            shutil.copytree(path / files.bases(0) / model, folder / model)


@pytest.fixture
def workspace(finished: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    path = tmp_path / "repo"
    shutil.copytree(finished.path, path, symlinks=True)
    monkeypatch.chdir(path)
    return Workspace(path)


def statuses() -> dict[tuple[str, ...], Status]:
    """What becomes of each stage of the repository here, by kind and place in the grid."""
    return {(step.kind, *step.item.values()): step.status for step in survey(load())[0]}


def those(status: Status) -> set[tuple[str, ...]]:
    return {stage for stage, found in statuses().items() if found is status}


def test_before_the_first_run_everything_is_to_run(fresh: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(fresh.path)
    found = statuses()
    assert set(found.values()) == {RUN}
    assert {CONFIDENCE, NAIVE, ("prepare", "reviews", "0"), ("check",)} | LADDER <= found.keys()
    assert fresh.git("status", "--porcelain", "--ignored").count("models") == 0


def test_after_it_everything_is_up_to_date(workspace: Workspace) -> None:
    assert set(statuses().values()) == {KEPT}
    assert workspace.git("status", "--porcelain") == ""


def test_deleted_outputs_come_from_the_cache(workspace: Workspace) -> None:
    models = ("models/method", "models/supervisor", "models/student")
    for name in ("code", "data/tasks", "data/weak_labels", "data/gathered", "runs", *models):
        shutil.rmtree(workspace.path / name)
    # The reports that they made are still here, and sound; and so is the ladder, which git keeps.
    assert those(KEPT) == LAST | LADDER | {("check",)}
    assert those(RUN) == set()
    assert not (workspace.path / "models/supervisor").exists()
    assert workspace.stages_run(workspace.run("dvc", "repro")) == set()  # as DVC does it
    assert set(statuses().values()) == {KEPT}


def test_a_methods_option_reruns_its_students_only(workspace: Workspace) -> None:
    workspace.set("methods.confidence.loss.alpha_max", 0.5)
    assert those(RUN) == {("code",), ("check",), CONFIDENCE, ("method", "classification", "confidence", "0")} | LAST
    assert those(CACHED) == set()


def test_a_setting_that_was_tried_before_is_cached(workspace: Workspace) -> None:
    output = workspace.path / "runs/student/reviews/xs/m/confidence/0/file"
    before = yaml.safe_load((workspace.path / "params.yaml").read_text())["methods"]["confidence"]["loss"]["alpha_max"]
    workspace.set("methods.confidence.loss.alpha_max", 0.5)
    pin_code_and_methods(workspace)
    output.unlink()
    output.write_text("another student")
    workspace.run("dvc", "commit", "--force")
    assert set(statuses().values()) == {KEPT}
    workspace.set("methods.confidence.loss.alpha_max", before)
    found = statuses()
    assert {stage for stage, status in found.items() if status is CACHED} >= {CONFIDENCE}
    assert RUN not in found.values()
    assert workspace.stages_run(workspace.run("dvc", "repro")) == set()


def test_a_smaller_grid_and_a_larger_one(workspace: Workspace) -> None:
    workspace.set("grid.classification.methods", ["naive"])
    found = statuses()
    assert CONFIDENCE not in found
    assert {stage for stage, status in found.items() if status is RUN} == LAST | {
        ("code",),
        ("check",),
        ("method", "classification", "naive", "0"),
    }
    workspace.set("grid.classification.methods", ["naive", "confidence"])
    workspace.set("grid.seeds", [0, 1])
    again = those(RUN)
    assert {stage[-1] for stage in again if stage[0] == "student"} == {"1"}
    assert {stage[0] for stage in again} == {
        *("code", "check", "prepare", "base", "method", "supervise", "label", "gather", "simulate", "ceiling"),
        *("control", "student", "evaluate", "plot"),
    }


def test_another_rung_remakes_no_cell(workspace: Workspace) -> None:
    workspace.set("grid.ladder", [*MICRO["grid"]["ladder"], "l"])
    assert those(RUN) == LAST | METHODS | {("code",), ("check",), ("base", "l", "0")}


def test_a_rung_that_changes_remakes_what_goes_via_it(workspace: Workspace) -> None:
    workspace.set("models.chess-s.steps", 61)
    assert those(RUN) == LAST | METHODS | {("code",), ("check",), ("base", "chess-s", "0"), BOOTSTRAP}


def test_another_loss_remakes_the_students_that_learn_by_it_only(workspace: Workspace) -> None:
    losses = workspace.path / "w2s/methods/losses"
    (losses / "new.py").write_text('"""New."""\n')
    assert those(RUN) == {("code",), ("check",), ("plot",)}  # the report may quote any loss
    loss = losses / "confidence.py"
    loss.write_text(f"{loss.read_text()}# In other words.\n")
    assert those(RUN) == {("code",), ("check",), ("plot",)}
    loss.write_text(f"{loss.read_text()}MORE = 1\n")
    assert those(RUN) == LAST | {("code",), ("check",), ("method", "classification", "confidence", "0"), CONFIDENCE}


def test_a_lost_rung_comes_from_the_run_cache(workspace: Workspace) -> None:
    shutil.rmtree(workspace.path / "models/base/0/m")
    assert those(RUN) == set()
    assert workspace.stages_run(workspace.run("dvc", "repro")) == set()
    assert (workspace.path / "models/base/0/m/file").exists()


def test_after_a_lost_rung_that_must_be_pretrained_anew_all_that_is_made_of_it_may_run(workspace: Workspace) -> None:
    lock = yaml.safe_load((workspace.path / "dvc.lock").read_text())
    key = lock["stages"]["base@m-0"]["outs"][0]["md5"]
    (workspace.path / ".dvc/cache/files/md5" / key[:2] / key[2:]).unlink()
    shutil.rmtree(workspace.path / "models/base/0/m")
    assert those(RUN) >= METHODS | {("base", "m", "0"), NAIVE, CONFIDENCE}
    assert those(CACHED) == set()


def test_after_new_data_everything_made_from_them_is_to_run(workspace: Workspace) -> None:
    workspace.set("split.student", 64)
    assert those(KEPT) == {("check",)} | METHODS | LADDER
    assert those(CACHED) == set()
