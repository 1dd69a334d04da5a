"""The graph itself, before anything runs: no leak, and honest dependencies."""

import ast
import importlib
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from stages.code import fingerprints
from tests.pipeline.conftest import MICRO, ROOT
from w2s.core.checks import load
from w2s.core.errors import UserError
from w2s.core.fingerprint import PER_ENTRY, REFUSING, Sources
from w2s.core.params import Params

TRUTH = re.compile(r"data/tasks/[^/]+/\d+/truth/(student|validation|test)\.parquet")
LABELS = re.compile(r"data/weak_labels/([^/]+)/([^/]+)/.*")
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

    A simulated supervisor's own students may read its labels, and no other student may. That some truth of the student
    half reaches them is what `true-labels-K` means, and `…-errors` too; an ensemble has none, and is held to the same.
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
        if kind(name) not in allowed and not is_own(name, path)
    ]


def is_own(student: str, path: str) -> bool:
    """Are these the labels of a simulated supervisor, and this a student of it?"""
    stage, _, cell = student.partition("@")
    labels = LABELS.fullmatch(path)
    return bool(labels) and stage.startswith("student-simulated-") and cell.startswith("-".join([*labels.groups(), ""]))


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A repository with this DAG, to plant faults in."""
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    grid = dict(MICRO["grid"])
    for setting in ("classification", "preference", "generation"):
        block = grid[setting]
        simulated = {"weak": ["random-errors", "true-labels-8", "ensemble"], "methods": block["methods"][:1]}
        grid |= {setting: block | {"simulated": simulated | {"of": block["weak"]}}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params | {"grid": grid}))
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
        "student-simulated-classification@reviews-random-errors-m-naive-0",
        "student-simulated-preference@preferences-true-labels-8-m-generative-0",
        "student-simulated-generation@endgames-ensemble-chess-m-bootstrap-0",
        "gather-preference@preferences-xs-0",
        "label-generation@endgames-chess-xs-0",
        "method-generation@bootstrap-0",
    } <= graph.keys()
    assert leaks(graph) == []
    assert leaks(edges(ROOT)) == []


@pytest.mark.parametrize(
    ("stage", "dep"),
    [
        ("label-classification", "data/tasks/${item.task}/${item.seed}/truth/student.parquet"),
        ("label-generation", "data/tasks/${item.task}/${item.seed}/truth/student.parquet"),
        ("student-classification", "data/tasks/${item.task}/${item.seed}/truth/test.parquet"),
        ("student-preference", "data/tasks"),  # a folder around it
        ("student-generation", "models/ceiling"),  # something made from it
        ("student-generation", "runs/ceiling"),
        (
            "student-classification",
            "data/weak_labels/reviews/random-errors/0/student.parquet",
        ),  # a simulated supervisor
        ("student-preference", "data/weak_labels/reviews/true-labels-8/0/student.parquet"),
        ("label-classification", "data/weak_labels/reviews/true-labels-8/0/student.parquet"),
        ("student-simulated-classification", "data/tasks/${item.task}/${item.seed}/truth/student.parquet"),
        ("student-simulated-generation", "data/weak_labels/endgames/true-labels-8/0/student.parquet"),  # not their own
        ("gather-generation", "data/tasks/${item.task}/${item.seed}/truth/student.parquet"),
        ("method-classification", "runs/control"),
        ("supervise-preference", "data/tasks/${item.task}/${item.seed}/truth/validation.parquet"),
    ],
)
def test_a_planted_leak_is_found(planted: Path, stage: str, dep: str) -> None:
    edit(planted, stage, dep)
    assert any(found.startswith(f"{stage}@") for found in leaks(edges(planted)))


STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
SETTING, STUDENT = "code/settings/${setting}.json", "code/students/${item.method}.json"
WEAK, STRONG = "code/finetune/${item.weak}.json", "code/finetune/${item.strong}.json"
OF_ENTRIES = {  # beside code/<stage>.json
    "prepare": {"code/tasks/${item.task}.json"},
    "base": {"code/models/${item.model}.json"},
    "method": {SETTING, STUDENT, "code/finetune"},
    "supervise": {SETTING, WEAK},
    "label": {SETTING, WEAK},
    "ceiling": {SETTING, STRONG, "code/ceilings/${item.method}.json"},
    "control": {SETTING, STRONG},
    "student": {STRONG},
    "plot": {"code/students"},
}


@pytest.mark.parametrize("name", [name for name in STAGES if name not in ("code", "check")])
def test_code_dependencies_are_fingerprints(name: str) -> None:
    script = re.match(r"python -m stages\.(\w+)", STAGES[name]["cmd"])
    assert script
    deps = STAGES[name]["deps"]
    of_code = {dep for dep in deps if dep.startswith("code")}
    own = set() if script[1] == "base" else {f"code/{script[1]}.json"}  # base's lies with that of each model
    assert of_code == own | OF_ENTRIES.get(script[1], set())
    assert not any(dep.startswith(("stages", "w2s")) for dep in deps)
    if script[1] == "student":  # the code of its parts and of its setting comes through its method
        assert "models/method/${setting}/${item.method}/${item.seed}" in deps


@pytest.mark.parametrize("name", ["supervise", "label", "ceiling", "control", "student"])
def test_parameters_come_through_what_lies_in_dependencies(name: str) -> None:
    """What such a stage reads of params.yaml beside its own params lies in one of its deps."""
    stage = STAGES[f"{name}-classification"]
    deps = set(stage["deps"])
    model = "weak" if name in ("supervise", "label") else "strong"
    assert {f"models/base/${{item.seed}}/${{item.{model}}}", "data/tasks/${item.task}/${item.seed}/inputs"} <= deps
    assert f"code/finetune/${{item.{model}}}.json" in deps
    assert deps & {SETTING, "models/method/${setting}/${item.method}/${item.seed}"}
    assert "tasks.${item.task}" in STAGES["prepare-classification"]["params"]
    if name == "student":
        assert "methods.${item.method}" in STAGES["method-classification"]["params"]
    if name == "ceiling":
        assert "code/ceilings/${item.method}.json" in deps


def test_every_stage_waits_for_the_check_of_all_code() -> None:
    assert {"params.yaml", "stages", "w2s"} == set(STAGES["code"]["deps"])
    assert STAGES["check"]["deps"] == ["code"]


def test_settings_share_their_stages() -> None:
    """What differs between settings is what they are repeated over, and nothing else."""
    for name, stage in STAGES.items():
        if name.split("-")[-1] in ("preference", "generation") or name == "student-simulated-classification":
            first = STAGES[f"{kind(name)}-classification"]
            assert {key: value for key, value in stage.items() if key not in ("matrix", "vars")} == {
                key: value for key, value in first.items() if key not in ("matrix", "vars")
            }
            if "vars" in first:
                assert stage["vars"] == [{"setting": name.split("-")[-1]}]


def test_the_page_stays_short() -> None:
    assert len((ROOT / "dvc.yaml").read_text().splitlines()) <= 350


# Fingerprints


@pytest.fixture(scope="module")
def params() -> Params:
    return load(ROOT / "params.yaml")


@pytest.fixture(scope="module")
def before(params: Params) -> dict[str, dict[str, str]]:
    return fingerprints(params, ROOT)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """The sources, to plant changes in."""
    for folder in ("w2s", "stages"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def changed(before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]) -> set[str]:
    """Names of fingerprints that differ."""
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


@pytest.mark.slow
def test_words_about_code_change_no_fingerprint(
    params: Params, before: dict[str, dict[str, str]], copied: Path
) -> None:
    """Module docstrings, comments and formatting, in every module at once."""
    for file in [*copied.rglob("*.py")]:
        text = file.read_text()
        tree = ast.parse(text)
        module_docstring = ast.get_docstring(tree) is not None
        if module_docstring:
            tree.body = tree.body[1:]
        # Unparsed: without comments, and in another format.
        file.write_text(f'"""Other words."""\n# A comment.\n{ast.unparse(tree)}\n\n\n# The end.\n')
    assert changed(before, fingerprints(params, copied)) == set()


@pytest.mark.slow
def test_docstrings_change_what_quotes_them_only(
    params: Params, before: dict[str, dict[str, str]], copied: Path
) -> None:
    replace(copied / "w2s/training/finetune.py", '    """', '    """Other words. ')
    assert changed(before, fingerprints(params, copied)) == set()
    replace(copied / "w2s/methods/losses/confidence.py", '    """', '    """Other words. ')
    assert changed(before, fingerprints(params, copied)) == {"plot"}


def test_a_line_of_a_loss_concerns_the_methods_that_use_it(
    params: Params, before: dict[str, dict[str, str]], copied: Path
) -> None:
    replace(copied / "w2s/methods/losses/confidence.py", "1 - alpha", "1.0 - alpha")
    users = {name for name, method in params.methods.items() if "loss" in method.parts}
    users = {name for name in users if params.methods[name].parts["loss"]["function"] == "confidence"}
    assert changed(before, fingerprints(params, copied)) == {"plot", *(f"students/{name}" for name in users)}


def test_a_line_of_a_part_concerns_the_methods_that_have_it(
    params: Params, before: dict[str, dict[str, str]], copied: Path
) -> None:
    replace(copied / "w2s/methods/clean.py", "VOTES = 20", "VOTES = 21")
    users = {f"students/{name}" for name, method in params.methods.items() if "clean" in method.parts}
    assert users
    assert changed(before, fingerprints(params, copied)) == users


def test_a_line_of_a_task_or_setting_concerns_its_own(
    params: Params, before: dict[str, dict[str, str]], copied: Path
) -> None:
    for file in ("w2s/data/tasks/sciq.py", "w2s/settings/preference.py", "w2s/data/corpora/endgames.py"):
        with (copied / file).open("a") as opened:
            opened.write("\nMORE = 1\n")
    found = changed(before, fingerprints(params, copied))
    assert {"tasks/sciq", "settings/preference", "models/chess-xs"} <= found
    assert not found & {
        "tasks/boolq",
        "settings/classification",
        "models/xs",
        "models/gpt2",
        "student",
        "label",
    }


@pytest.mark.parametrize(
    ("file", "asks"),
    [
        ("w2s/pretraining/pretrain.py", True),
        ("w2s/pretraining/ladder.py", True),
        ("w2s/data/corpora/reviews.py", True),
        ("w2s/training/loop.py", False),
        ("w2s/training/finetune.py", False),
        ("w2s/models/checkpoints.py", False),
        ("w2s/models/heads.py", False),
        ("w2s/methods/bootstrap.py", False),
        ("w2s/core/files.py", False),
        ("w2s/results/statistics.py", False),
        ("w2s/report/report.py", False),
    ],
)
def test_a_ladder_is_pretrained_anew_for_pretraining_alone(
    params: Params, before: dict[str, dict[str, str]], copied: Path, file: str, asks: bool
) -> None:
    with (copied / file).open("a") as opened:
        opened.write("\nMORE = 1\n")
    assert ("models/xs" in changed(before, fingerprints(params, copied))) == asks


def test_a_recipe_makes_a_rung_anew_and_an_override_does_not(params: Params, before: dict[str, dict[str, str]]) -> None:
    def after(**change: object) -> set[str]:
        models = params.models | {"xs": params.models["xs"].model_copy(update=change)}
        return changed(before, fingerprints(params.model_copy(update={"models": models}), ROOT))

    assert after(steps=7) == {"models/xs"}
    assert after(finetune={"learning_rate": 0.1}) == {"finetune/xs"}


def test_a_file_that_only_refuses_changes_none(params: Params, before: dict[str, dict[str, str]], copied: Path) -> None:
    for file in REFUSING:
        with (copied / file).open("a") as opened:
            opened.write("\nMORE = 1\n")
    assert changed(before, fingerprints(params, copied)) == set()


def test_a_new_loss_or_task_that_nothing_uses_reruns_no_cell(
    params: Params, before: dict[str, dict[str, str]], copied: Path
) -> None:
    (copied / "w2s/methods/losses/brier.py").write_text("def brier() -> None: ...\n")
    (copied / "w2s/data/tasks/mine.py").write_text("MORE = 1\n")
    assert changed(before, fingerprints(params, copied)) == {"plot"}


def test_the_template_counts(params: Params, before: dict[str, dict[str, str]], copied: Path) -> None:
    (template,) = copied.rglob("report.html.j2")
    template.write_text(f"{template.read_text()}\n")
    assert changed(before, fingerprints(params, copied)) == {"plot"}


def test_a_planted_import_is_found(copied: Path) -> None:
    loop = copied / "w2s/training/loop.py"
    clean = Sources(copied).closure("stages/supervise.py")
    late = "def late() -> None:\n    from w2s.results import metrics"
    loop.write_text(f"{loop.read_text()}\n\n{late}\n\n\nif TYPE_CHECKING:\n    from w2s.results import statistics\n")
    planted = Sources(copied).closure("stages/supervise.py")
    assert planted - clean == {"w2s/results/__init__.py", "w2s/results/metrics.py"}
    assert "w2s/results/metrics.py" not in Sources(copied).closure("stages/label.py")


def test_a_lookup_by_name_may_find_any_module_of_its_package(tmp_path: Path) -> None:
    package = tmp_path / "w2s/results"
    package.mkdir(parents=True)
    for name in ("__init__", "one", "other"):
        (package / f"{name}.py").write_text("")
    (tmp_path / "script.py").write_text('chosen("w2s.results", name, where)\n')
    found = Sources(tmp_path).closure("script.py")
    assert found == {"script.py", *(f"w2s/results/{name}.py" for name in ("__init__", "one", "other"))}


def test_every_lookup_by_name_is_known() -> None:
    """Modules are imported by name in one file only, whose callers say in so many words from which package."""
    texts = {path: path.read_text() for path in (ROOT / "w2s").rglob("*.py")}
    dynamic = {str(path.relative_to(ROOT)) for path, text in texts.items() if "import_module" in text}
    # A fork runs a stage, by the name that dvc.yaml has.
    assert dynamic == {"w2s/core/registry.py", "w2s/pipeline/forks.py"}
    for path, text in texts.items():
        calls = len(re.findall(r"\bchosen\(", text)) - (path.name == "registry.py")
        packages = re.findall(r'\bchosen\("([\w.]+)"', text)
        assert calls == len(packages), path
        assert all((ROOT / package.replace(".", "/")).is_dir() for package in packages)
        assert set(packages) <= PER_ENTRY | {"w2s.report.figures"}, f"{path}: a stage depends on all of {packages}"
    figures = {path.relative_to(ROOT).as_posix() for path in (ROOT / "w2s/report/figures").glob("*.py")}
    assert figures <= Sources(ROOT).closure("stages/plot.py")  # it draws them all


def test_a_module_that_is_missing_is_told(params: Params, copied: Path) -> None:
    (copied / "w2s/data/tasks/sciq.py").unlink()
    with pytest.raises(UserError, match=r"^params.yaml: tasks.sciq.family: unknown name 'sciq'"):
        fingerprints(params, copied)


def test_only_two_modules_import_dvc() -> None:
    importing = re.compile(r"^\s*(?:from|import) (?:dvc|dvc_data|dvc_objects)\b", re.MULTILINE)
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "w2s").rglob("*.py") if importing.search(path.read_text())}
    assert files == {"w2s/pipeline/dvc.py", "w2s/pipeline/remote.py"}


def test_another_version_of_dvc_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dvc.__version__", "9.0")
    monkeypatch.delitem(sys.modules, "w2s.pipeline.dvc", raising=False)
    with pytest.raises(UserError, match=r"^DVC is 9.0, but w2s.pipeline.dvc was checked against 3\.\d+\.\d+"):
        importlib.import_module("w2s.pipeline.dvc")
