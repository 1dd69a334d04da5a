"""`w2s reproduce` where a machine is not as usual: it ends with the same bits, or says in one line what is wrong."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.pipeline.kills import Pipeline

# Each of these runs for seconds.
pytestmark = pytest.mark.slow

PEOPLE = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """In a folder whose name needs quoting. Not to be changed: take `pipeline`."""
    pipeline = Pipeline(tmp_path_factory.mktemp("a run's ünï 中 $HOME"))
    pipeline.finish()
    return pipeline


@pytest.fixture
def pipeline(reproduced: Pipeline, tmp_path: Path) -> Pipeline:
    return reproduced.copy(tmp_path / "copy")


def w2s(pipeline: Pipeline, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "w2s", *command],
        cwd=pipeline.path,
        env=pipeline.environment,
        capture_output=True,
        text=True,
    )


def test_bits_that_flipped_in_the_cache_are_not_brought_back(pipeline: Pipeline) -> None:
    expected = pipeline.bits()
    for path in [path for path in (pipeline.path / ".dvc/cache/files").rglob("*") if path.is_file()]:
        content, mode = bytearray(path.read_bytes()), path.stat().st_mode
        content[0] ^= 1
        path.unlink()  # never write through a link into the workspace
        path.write_bytes(content)
        path.chmod(mode)
    shutil.rmtree(pipeline.path / "runs")
    assert pipeline.finish() == expected


def test_no_home_and_a_worktree_are_enough(pipeline: Pipeline) -> None:
    expected = pipeline.bits()
    for command in (["add", "-A"], ["commit", "-qm", "all"], ["worktree", "add", "-q", "../tree"]):
        subprocess.run(["git", *PEOPLE, *command], cwd=pipeline.path, check=True)
    tree = pipeline.at(pipeline.path.parent / "tree")
    for name in ("HOME", "USER", "LOGNAME"):
        tree.environment.pop(name, None)
    assert tree.finish() == expected


def test_a_copy_without_git_says_what_to_do(pipeline: Pipeline) -> None:
    expected = pipeline.bits()
    shutil.rmtree(pipeline.path / ".git")
    done = w2s(pipeline, "reproduce")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert "`git init`" in done.stderr
    command = ["dvc", "config", "--local", "core.no_scm", "true"]
    subprocess.run(command, cwd=pipeline.path, env=pipeline.environment, check=True)
    assert pipeline.finish() == expected


def test_a_cache_that_cannot_be_written_is_named_with_what_to_do(pipeline: Pipeline) -> None:
    expected = pipeline.bits()
    pipeline.wipe()
    # Whoever runs this: nobody can make a file there.
    (pipeline.path / ".dvc/cache").symlink_to("/sys")
    done = w2s(pipeline, "reproduce")
    assert done.returncode == 1
    told, last = done.stderr.splitlines()[-2:]
    assert re.match(r"error: \S*/\.dvc/cache/\S+: .+; the folder must be yours to write to$", told)
    assert last.startswith("error: a stage failed")
    assert "Traceback" not in done.stderr
    (pipeline.path / ".dvc/cache").unlink()
    assert pipeline.finish() == expected


@pytest.mark.parametrize("kind", ["forked", "command"])
def test_a_stage_that_is_killed_for_its_memory_says_so(pipeline: Pipeline, kind: str) -> None:
    script = pipeline.path / "stages/make.py"
    sound = script.read_text()
    # As Linux does when memory runs out.
    killed = f"import os; '{kind}' in out and os.kill(os.getpid(), 9); time.sleep("
    script.write_text(sound.replace("time.sleep(", killed))
    (pipeline.path / "seed").write_text("another\n")
    done = w2s(pipeline, "reproduce")
    assert done.returncode == 1
    assert (
        "\nerror: killed by signal 9, perhaps for want of memory; try one stage at a time (--jobs 1)\n" in done.stderr
    )
    assert "Traceback" not in done.stderr
    script.write_text(sound)
    pipeline.finish()


def test_an_order_of_the_lock_that_another_left_is_mended_though_nothing_runs(pipeline: Pipeline) -> None:
    expected = pipeline.bits()
    file = pipeline.path / "dvc.lock"
    content = yaml.safe_load(file.read_text())
    content["stages"] = dict(reversed(content["stages"].items()))
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    assert pipeline.finish() == expected


def test_the_graph_is_listed_by_kinds_of_stages(pipeline: Pipeline) -> None:
    rows = [line.split() for line in w2s(pipeline, "status").stdout.splitlines()[2:]]
    assert rows == [["forked", "4", "4"], ["command", "4", "4", "forked"], ["last", "1", "1", "command"]]
