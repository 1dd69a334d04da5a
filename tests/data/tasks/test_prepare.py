"""The stage `prepare`, as DVC runs it: what it writes for tasks of the hub and for one's own."""

import hashlib
import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

import stages.prepare
from tests.data.tasks.fixtures import fill
from w2s.core import files
from w2s.core.checks import load
from w2s.core.registry import names
from w2s.data import tasks
from w2s.data.corpora import language
from w2s.data.questions import digest

ROOT = Path(__file__).parents[3]
ABSENT = object()
YES_NO = {"true": ["Yes"], "false": ["No"]}
SIZES = {"supervisor": 40, "student": 40, "validation": 20, "test": 60}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """params.yaml with small parts, a hub cache with SciQ and MC-TACO, and a file of one's own."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    local = {
        "family": "local",
        "setting": "classification",
        "answers": {"true": ["yes"], "false": ["no"]},
        "file": "data/local/mine.jsonl",
    }
    local |= {"text": "{claim} Is this so?", "label": "verdict", "positive": ["yes"]}
    edit(tmp_path, split=SIZES, mine=local)
    rows = [{"claim": f"Claim {n}.", "verdict": "yes" if n % 3 else "no"} for n in range(90)]
    (tmp_path / "data/local").mkdir(parents=True)
    (tmp_path / "data/local/mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    entries = load(tmp_path / "params.yaml").tasks
    for name in ("sciq", "mc_taco", "hh_rlhf_helpful", "lichess"):
        fill(tmp_path / "hub", name, entries[name])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edit(root: Path, split: dict | None = None, **tasks: dict) -> None:
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["split"] = split or params["split"]
    for name, options in tasks.items():
        entry = params["tasks"].setdefault(name, {}) | options
        params["tasks"][name] = {key: value for key, value in entry.items() if value is not ABSENT}
    (root / "params.yaml").write_text(yaml.safe_dump(params))


def prepare(task: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_CACHE": "hub", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "stages.prepare", task, "0"]
    return subprocess.run(command, env=env, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "source", "counts"),
    [
        (
            "sciq",
            {"repository": "allenai/sciq", "commit": "2c94ad3e1aafab77146f384e23536f97a4849815"}
            | {"train": ["data/train-0000.parquet"], "test": ["data/test-0000.parquet"]},
            {"supervisor": 40, "student": 40, "validation": 20, "test": 60},
        ),
        (
            "mc_taco",
            {"repository": "CogComp/mc_taco", "commit": hashlib.sha1(b"refs/convert/parquet").hexdigest()}
            | {"train": ["plain_text/validation/0000.parquet"], "test": ["plain_text/test/0000.parquet"]},
            None,
        ),
        ("mine", {"train": "data/local/mine.jsonl", "test": "data/local/mine.jsonl"}, None),
    ],
)
def test_parts_and_their_source_are_written(repository: Path, task: str, source: dict, counts: dict | None) -> None:
    done = prepare(task)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    written = json.loads(files.source(task, 0).read_text())
    examples = written.pop("examples")
    assert written == source | {"contradictory": 0}
    assert counts is None or examples == counts
    for part, count in examples.items():
        inputs = files.read(files.inputs(task, 0, part), files.TEXTS)
        truth = files.read_labels(files.truth(task, 0, part))
        assert inputs["id"].to_pylist() == truth["id"].to_pylist()
        assert len(truth) == count >= 2
        assert sum(truth["p"].to_pylist()) * 2 == count


@pytest.mark.slow
@pytest.mark.parametrize("task", ["preferences", "hh_rlhf_helpful"])
def test_pairs_are_written(repository: Path, task: str) -> None:
    assert prepare(task).returncode == 0
    for part in files.PARTS:
        inputs = files.read(files.inputs(task, 0, part), files.PAIRS)
        truth = files.read_labels(files.truth(task, 0, part))
        assert inputs["id"].to_pylist() == truth["id"].to_pylist()
        assert sum(truth["p"].to_pylist()) * 2 == len(truth) >= 20


@pytest.mark.slow
@pytest.mark.parametrize("task", ["endgames", "lichess"])
def test_puzzles_are_written(repository: Path, task: str) -> None:
    assert prepare(task).returncode == 0
    written = json.loads(files.source(task, 0).read_text())
    assert "corpus" in written or written["train"] == written["test"] == ["data/train-0000.parquet"]
    for part, count in written["examples"].items():
        inputs = files.read(files.inputs(task, 0, part), files.TEXTS)
        answers = files.read(files.truth(task, 0, part), files.ANSWERS)
        assert inputs["id"].to_pylist() == answers["id"].to_pylist()
        assert len(answers) == count >= 15


@pytest.mark.slow
@pytest.mark.parametrize("task", ["sciq", "hh_rlhf_helpful"])
def test_the_students_texts_serve_as_unlabelled_ones(repository: Path, task: str) -> None:
    assert prepare(task).returncode == 0
    rows = pq.read_table(files.inputs(task, 0, "student")).drop_columns(["id", "group"]).to_pylist()
    texts = files.read(files.texts(task, 0), files.strings("id", "text"))
    assert texts["text"].to_pylist() == list(dict.fromkeys(text for row in rows for text in row.values()))
    assert texts["id"].to_pylist() == [digest(text) for text in texts["text"].to_pylist()]


@pytest.mark.slow
def test_a_task_may_have_unlabelled_texts_of_its_own(repository: Path) -> None:
    assert prepare("preferences").returncode == 0
    texts = files.read(files.texts("preferences", 0), files.strings("id", "text"))["text"].to_pylist()
    assert len(texts) == 2 * SIZES["student"]
    for part in files.PARTS:
        inputs = pq.read_table(files.inputs("preferences", 0, part))
        shown = inputs["first"].to_pylist() + inputs["second"].to_pylist()
        assert not any(text.startswith(tuple(shown)) for text in texts)


@pytest.mark.slow
def test_reviews_are_written_as_before(repository: Path) -> None:
    assert prepare("reviews").returncode == 0
    written = json.loads(files.source("reviews", 0).read_text())
    assert written["examples"] == SIZES
    assert written["corpus"] == {"family": "reviews", "documents": 160000}
    assert len(pq.read_table(files.inputs("reviews", 0, "test"))) == 60


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "options", "told"),
    [
        ("sciq", {"train": "data/tarin-*.parquet"}, "params.yaml: tasks.sciq: dataset allenai/sciq at 2c94ad"),
        ("sciq", {"repository": "allenai/qics"}, "params.yaml: tasks.sciq: dataset allenai/qics (revision '2c94ad"),
        ("sciq", {"tset": "data/test-*.parquet"}, "params.yaml: tasks.sciq: tset: unknown name 'tset'"),
        ("sciq", {"family": "sqic"}, "params.yaml: tasks.sciq.family: unknown name 'sqic'"),
        ("reviews", {"corpus": None}, "params.yaml: tasks.reviews.corpus is missing"),
        ("sciq", {"answers": None}, "params.yaml: tasks.sciq.answers is missing, which a classification task needs"),
        ("lichess", {"answer_tokens": None}, "params.yaml: tasks.lichess.answer_tokens is missing, which a generation"),
        ("preferences", {"easy": ABSENT}, "params.yaml: tasks.preferences: easy is missing"),
        ("lichess", {"notation": ABSENT}, "params.yaml: tasks.lichess: notation is missing"),
        ("mine", {"positive": ["no", "never"]}, "params.yaml: tasks.mine.positive: 'never' never occurs"),
    ],
)
def test_faults_end_in_one_line(repository: Path, task: str, options: dict, told: str) -> None:
    edit(repository, **{task: options})
    done = prepare(task)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {told}")
    assert not files.source(task, 0).exists()


TOY = """
from w2s.data.questions import Example
from w2s.data.tasks import Stream


def examples(split, corpus, seed, param_path, *, largest: int):
    numbers = [Example({"text": f"Is {n} even?"}, n % 2 == 0, group=str(n), id=str(n)) for n in range(largest)]
    return Stream({"largest": largest}, numbers)
"""


def test_a_task_is_one_file_and_one_entry(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (repository / "families").mkdir()
    (repository / "families/toy.py").write_text(TOY)
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(repository / "families")])
    edit(repository, toy={"family": "toy", "setting": "classification", "answers": YES_NO, "largest": 200})
    stages.prepare.main("toy", 0)
    monkeypatch.delitem(sys.modules, "w2s.data.tasks.toy")
    monkeypatch.delattr(tasks, "toy")
    assert json.loads(files.source("toy", 0).read_text())["largest"] == 200
    for part in files.PARTS:
        texts = files.read(files.inputs("toy", 0, part), files.TEXTS)["text"].to_pylist()
        truth = files.read_labels(files.truth("toy", 0, part))["p"].to_pylist()
        assert [float(int(text.split()[1]) % 2 == 0) for text in texts] == truth
        assert len(truth) >= 20


@pytest.mark.parametrize("name", names("w2s.data.tasks"))
def test_no_default_of_a_family_decides_a_result(name: str) -> None:
    parameters = inspect.signature(tasks.family(name, "").examples).parameters.values()
    options = [parameter for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    assert all(option.default in (None, option.empty) for option in options)


@pytest.mark.parametrize("name", names("w2s.data.corpora"))
def test_no_default_of_a_language_decides_a_result(name: str) -> None:
    parameters = inspect.signature(language(name, "").documents).parameters.values()
    options = [parameter for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    assert all(option.default in (None, option.empty) for option in options)
