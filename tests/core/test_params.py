"""Every fault in params.yaml is reported in one line: where, what was found, what is allowed."""

import copy
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

import w2s
from w2s import settings
from w2s.core.checks import load
from w2s.core.errors import UserError
from w2s.core.grid import ceiling_method, setting_blocks, task_blocks
from w2s.core.hparams import hparams_for
from w2s.core.params import Block, Corpus, Count, Fraction, Method, Params, Task
from w2s.core.validation import Strict, options_of
from w2s.data import tasks
from w2s.methods import parts_of

COMMITTED = Path(__file__).parents[2] / "params.yaml"
ABSENT = object()
MODEL = {"family": "embedded", "corpus": "reviews", "hidden": 8, "layers": 1, "steps": 1, "learning_rate": 0.1}
# Defaults of schemas that are not empty, with the reason why they cannot silently decide a result.
DEFAULTS = {
    "Hub.trust_remote_code": "off can only refuse a model",
}
BLOCK = {"tasks": ["reviews"], "weak": ["xs"], "strong": ["l"], "methods": ["naive"], "ceilings": ["naive"]}
TEXTS = {"epochs": 1, "learning_rate": 0.1}
SIMULATED = {"of": "xs", "tasks": ["reviews"], "weak": ["random-errors"], "strong": ["l"], "methods": ["naive"]}
FINETUNE = (
    "tune, lora, keep, epochs, batch_size, micro_batch, context, gradient_checkpointing, "
    "learning_rate, warmup, weight_decay, clip, precision, snapshots, threads, "
    "processes"
)
REPORTS = (
    "must be a folder of its own in this repository, like reports/mine; benchmarks, code, data, docs, grids, models, "
    "runs, stages, tests, tools, w2s are taken"
)
ONE_WORD = "must be one word of letters, digits, _ and -, a dash only between others"

CONTENT = YAML(typ="safe", pure=True).load(COMMITTED.read_text())
for catalogue, kept in {  # of long ones a few, since each test reads them all
    "models": ["xs", "s", "m", "l", "chess-xs", "gpt2"],
    "tasks": ["reviews", "preferences", "endgames", "sciq"],
}.items():
    CONTENT[catalogue] = {name: CONTENT[catalogue][name] for name in kept}
CONTENT["grid"] |= {"ladder": ["xs", "s", "m", "l"], "classification": BLOCK | {"methods": ["naive", "confidence"]}}

WRITER = YAML(typ="safe")  # in C, the fast one
WRITER.sort_base_mapping_type_on_output = False

Load = Callable[..., Params]


@pytest.fixture
def load_with(tmp_path: Path) -> Load:
    """Loads the committed parameters after changes at dotted keys."""
    return lambda changes: load(written(tmp_path / "params.yaml", changes))


def written(file: Path, changes: dict[str, Any]) -> Path:
    content = copy.deepcopy(CONTENT)
    for key, value in changes.items():
        *way, last = key.split(".")
        place = content
        for part in way:
            place = place[part]
        if value is ABSENT:
            del place[last]
        else:
            place[last] = value
    with file.open("w") as stream:
        WRITER.dump(content, stream)
    return file


def message(error: pytest.ExceptionInfo[UserError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_committed_parameters_load() -> None:
    params = load(COMMITTED)
    for block in setting_blocks(params.grid).values():
        assert set(block.weak + block.strong) <= set(params.grid.ladder) <= set(params.models)
    for name, method in params.methods.items():
        parts_of(method, f"methods.{name}")


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        # misspelt names, with the nearest
        (
            "methods",
            {"naiv": {"loss": "kl"}},
            "grid.classification.methods: unknown name 'naive' (known: naiv); did you mean 'naiv'?",
        ),
        ("methods", {"zzz": {"loss": "kl"}}, "grid.classification.methods: unknown name 'naive' (known: zzz)"),
        ("tasks", {}, "grid.classification.tasks: unknown name 'reviews' (known: none)"),
        (
            "models.s.corpus",
            "review",
            "models.s.corpus: unknown name 'review' (known: reviews, endgames); did you mean 'reviews'?",
        ),
        ("tasks.reviews.corpus", "zzz", "tasks.reviews.corpus: unknown name 'zzz' (known: reviews, endgames)"),
        # unknown keys
        (
            "gird",
            {},
            "gird: unknown name 'gird' (known: grid, split, finetune, evaluate, corpora, tasks, models, methods); "
            "did you mean 'grid'?",
        ),
        (
            "grid.classification.task",
            ["reviews"],
            "grid.classification.task: unknown name 'task' (known: tasks, weak, strong, methods, ceilings); "
            "did you mean 'tasks'?",
        ),
        (
            "grid.tasks",
            ["reviews"],
            "grid.tasks: unknown name 'tasks' (known: reports, ladder, seeds, classification, preference, generation, "
            "simulated)",
        ),
        (
            "models.s.hiden",
            8,
            "models.s.hiden: unknown name 'hiden' "
            "(known: family, corpus, architecture, hidden, layers, steps, learning_rate, warmup); "
            "did you mean 'hidden'?",
        ),
        (
            "tasks.reviews.answers.maybe",
            ["x"],
            "tasks.reviews.answers.maybe: unknown name 'maybe' (known: true, false)",
        ),
        # missing keys
        ("split", ABSENT, "split is missing"),
        ("finetune.epochs", ABSENT, "finetune.epochs is missing"),
        ("models.s.steps", ABSENT, "models.s.steps is missing"),
        ("grid.classification.ceilings", ABSENT, "grid.classification.ceilings is missing"),
        ("grid.preference", ABSENT, "grid.preference is missing"),
        ("tasks.reviews.setting", ABSENT, "tasks.reviews.setting is missing"),
        # mistyped values
        ("models.s.hidden", "32", "models.s.hidden: must be a whole number (found '32')"),
        ("models.s.hidden", 32.0, "models.s.hidden: must be a whole number (found 32.0)"),
        ("models.s.hidden", True, "models.s.hidden: must be a whole number (found True)"),
        ("models.s.hidden", None, "models.s.hidden: must be a whole number (found nothing)"),
        ("finetune.epochs", 2.5, "finetune.epochs: must be a whole number (found 2.5)"),
        ("finetune.learning_rate", "5e-4", "finetune.learning_rate: must be a number (found '5e-4')"),
        ("finetune.precision", "fp16", "finetune.precision: must be 'auto', 'fp32' or 'bf16' (found 'fp16')"),
        ("grid.seeds", 0, "grid.seeds: must be a list (found 0)"),
        ("grid.seeds", ["0"], "grid.seeds.0: must be a whole number (found '0')"),
        ("grid.preference.weak", "xs", "grid.preference.weak: must be a list (found 'xs')"),
        ("tasks.reviews.family", 3, "tasks.reviews.family: must be text (found 3)"),
        ("grid", None, "grid: must be a mapping of keys to values (found nothing)"),
        ("models.s", None, "models.s: must be a mapping of keys to values (found nothing)"),
        ("models", [1], "models: must be a mapping of keys to values (found [1])"),
        ("models.gpt2.finetune", 7, "models.gpt2.finetune: must be a mapping of keys to values (found 7)"),
        ("models.s.family", "hug", "models.s.family: unknown name 'hug' (known: embedded, hub); did you mean 'hub'?"),
        ("grid.generation.tasks", ["../x"], f"grid.generation.tasks.0: {ONE_WORD} (found '../x')"),
        ("models", {"a b": MODEL}, f"models.a b: {ONE_WORD} (found 'a b')"),
        ("split", ["x" * 200], "split: must be a mapping of keys to values (found ['" + "x" * 78 + "…)"),
        # empty lists and repeated names
        ("grid.ladder", [], "grid.ladder: must have at least one item (found [])"),
        ("grid.seeds", [], "grid.seeds: must have at least one item (found [])"),
        *(
            (
                f"grid.classification.{key}",
                [],
                f"grid.classification.{key}: must have at least one item, as {'weak' if key == 'tasks' else 'tasks'} "
                "has (or all 5 lists none)",
            )
            for key in Block.model_fields
        ),
        (
            "grid.generation.methods",
            ["naive"],
            "grid.generation.tasks: must have at least one item, as methods has (or all 5 lists none)",
        ),
        (
            "grid.classification",
            {key: [] for key in Block.model_fields},
            "grid.classification.tasks: at least one of the settings must have tasks",
        ),
        ("tasks.reviews.answers.true", [], "tasks.reviews.answers.true: must have at least one item (found [])"),
        ("tasks.reviews.answers.true", [""], "tasks.reviews.answers.true.0: must not be empty (found '')"),
        ("grid.seeds", [1, 0, 1], "grid.seeds: must not hold anything twice (found [1, 0, 1])"),
        (
            "grid.classification.weak",
            ["xs", "xs"],
            "grid.classification.weak: must not hold anything twice (found ['xs', 'xs'])",
        ),
        # not finite, out of range
        ("finetune.learning_rate", float("nan"), "finetune.learning_rate: must be a finite number (found nan)"),
        ("finetune.clip", float("inf"), "finetune.clip: must be a finite number (found inf)"),
        ("finetune.learning_rate", -1, "finetune.learning_rate: must be greater than 0 (found -1)"),
        ("finetune.warmup", 1.5, "finetune.warmup: must be less than or equal to 1 (found 1.5)"),
        ("finetune.weight_decay", -0.1, "finetune.weight_decay: must be greater than or equal to 0 (found -0.1)"),
        ("finetune.batch_size", 0, "finetune.batch_size: must be greater than 0 (found 0)"),
        ("grid.seeds", [-1], "grid.seeds.0: must be greater than or equal to 0 (found -1)"),
        ("grid.seeds", [2**31], "grid.seeds.0: must be less than 2147483648 (found 2147483648)"),
        ("evaluate.confidence", 1.0, "evaluate.confidence: must be less than 1 (found 1.0)"),
        # folders in which something else lies, or that are outside
        *(
            ("grid.reports", name, f"grid.reports: {REPORTS} (found {name!r})")
            for name in (
                ".",
                "..",
                "../out",
                "/tmp/out",
                "~/out",
                "data",
                "models/mine",
                "reports/",
                "a/../data",
                ".git",
            )
        ),
        ("grid.reports", "", "grid.reports: must not be empty (found '')"),
        # references between entries
        (
            "grid.classification.weak",
            ["xxs"],
            "grid.classification.weak (must be in grid.ladder): unknown name 'xxs' (known: xs, s, m, l); "
            "did you mean 'xs'?",
        ),
        (
            "grid.ladder",
            ["xs", "s", "m"],
            "grid.classification.strong (must be in grid.ladder): unknown name 'l' (known: xs, s, m)",
        ),
        # names that are known, but do not go together
        (
            "tasks.reviews.setting",
            "preference",
            "grid.classification.tasks: 'reviews' is a preference task; list it under grid.preference",
        ),
        (
            "grid.preference",
            BLOCK,
            "grid.preference.tasks: 'reviews' is a classification task; list it under grid.classification",
        ),
        (
            "grid.classification.ceilings",
            ["naive", "hard"],
            "grid.classification.ceilings: 'hard' must be one of its methods: naive, confidence",
        ),
        # simulated supervisors
        ("grid.simulated.of", ABSENT, "grid.simulated.of is missing"),
        ("grid.simulated", SIMULATED | {"of": "m"}, "grid.simulated.of: 'm' is not in grid.classification.weak"),
        (
            "grid.simulated",
            SIMULATED | {"weak": []},
            "grid.simulated.weak: must have at least one item, as tasks has (or all 4 lists none)",
        ),
        (
            "grid.simulated",
            SIMULATED | {"tasks": ["sciq"]},
            "grid.simulated.tasks: 'sciq' is not in grid.classification.tasks",
        ),
        (
            "grid.simulated",
            SIMULATED | {"strong": ["s"]},
            "grid.simulated.strong: 's' is not in grid.classification.strong",
        ),
        (
            "grid.simulated",
            SIMULATED | {"methods": ["kl"]},
            "grid.simulated.methods: 'kl' is not in grid.classification.methods",
        ),
        # overrides of finetune
        (
            "tasks.reviews.finetune",
            {"epohs": 1},
            f"tasks.reviews.finetune: epohs: unknown name 'epohs' (known: {FINETUNE}); did you mean 'epochs'?",
        ),
        ("models.gpt2.finetune", {"epochs": "2"}, "models.gpt2.finetune: epochs: must be a whole number (found '2')"),
        ("models.gpt2.finetune", {"clip": 0}, "models.gpt2.finetune: clip: must be greater than 0 (found 0)"),
        ("methods.naive.finetune", {"clip": 0}, "methods.naive.finetune: clip: must be greater than 0 (found 0)"),
    ],
)
def test_a_fault_is_reported(tmp_path: Path, load_with: Load, key: str, value: object, expected: str) -> None:
    with pytest.raises(UserError) as error:
        load_with({key: value})
    assert message(error) == f"{tmp_path / 'params.yaml'}: {expected}"


def test_blocks_are_the_settings_that_have_tasks(load_with: Load) -> None:
    block = BLOCK | {"tasks": ["preferences"], "methods": ["naive", "generative"], "ceilings": ["naive", "generative"]}
    grid = load_with({"grid.preference": block}).grid
    assert list(setting_blocks(grid)) == ["classification", "preference"]
    assert {task: block.methods for task, block in task_blocks(grid).items()} == {
        "reviews": ["naive", "confidence"],
        "preferences": ["naive", "generative"],
    }
    assert [ceiling_method(grid.preference, name) for name in ("naive", "generative")] == ["naive", "generative"]
    assert ceiling_method(grid.classification, "confidence") == "naive"


def test_a_misspelt_key_is_reported_rather_than_the_one_it_leaves_missing(load_with: Load) -> None:
    with pytest.raises(UserError, match=r"classification\.task: unknown name 'task' .*did you mean 'tasks'\?"):
        load_with({"grid.classification.tasks": ABSENT, "grid.classification.task": ["reviews"]})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "top level: must be a mapping of keys to values (found nothing)"),
        (b"- a\n", "top level: must be a mapping of keys to values (found ['a'])"),
        (b"grid: {\n", "not valid YAML in line 2 (expected the node content, but found '<stream end>')"),
        (b"grid:\n\t- a\n", "not valid YAML in line 2 (found character '\\t' that cannot start any token)"),
        (b"a: 1\na: 2\n", 'not valid YAML in line 2 (found duplicate key "a" with value "2" (original value: "1"))'),
        (b"a: \x00\n", "not valid YAML (unacceptable character"),
        (b"[" * 2000, "nested too deeply"),
        (b"{a: " * 2000, "nested too deeply"),
        (b"\xff\xfe\x00a", "cannot be read ('utf-8' codec can't decode byte 0xff in position 0: invalid start byte)"),
    ],
)
def test_a_file_that_is_no_yaml(tmp_path: Path, content: bytes, expected: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_bytes(content)
    with pytest.raises(UserError) as error:
        load(file)
    assert str(error.value).startswith(f"{file}: {expected}")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        load(tmp_path / "none.yaml")
    assert message(error).startswith(f"{tmp_path / 'none.yaml'}: cannot be read (")


@pytest.mark.parametrize("written_as", ["5e-4", "0.5e-3", "0.0005"])
def test_numbers_are_read_as_dvc_reads_and_writes_them(tmp_path: Path, written_as: str) -> None:
    file = tmp_path / "params.yaml"
    text = COMMITTED.read_text()
    assert text.count("  learning_rate: 0.0005\n") == 1
    file.write_text(text.replace("  learning_rate: 0.0005\n", f"  learning_rate: {written_as}\n"))
    assert load(file).finetune.learning_rate == 0.0005


def places(content: Any, way: str = "") -> list[str]:
    if not isinstance(content, dict):
        return [way]
    inner = [place for key, value in content.items() for place in places(value, f"{way}.{key}" if way else key)]
    return inner + ([way] if way else [])


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text("ab -1.", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=4,
)


@pytest.mark.slow
@given(place=st.sampled_from(places(CONTENT)), value=junk)
def test_whatever_stands_anywhere_loads_or_is_reported_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, place: str, value: object
) -> None:
    file = tmp_path_factory.getbasetemp() / "junk.yaml"
    try:
        load(written(file, {place: value}))
    except UserError as error:
        text = str(error)
        assert text.startswith(f"{file}: ")
        assert "\n" not in text
        assert not any(jargon in text for jargon in ("Input should", "instance of", "Value error", "after validation"))


def test_hyperparameters_are_the_general_ones_then_the_models_then_the_tasks(load_with: Load) -> None:
    params = load_with(
        {
            "models.gpt2.finetune": {"epochs": 7, "clip": 2.0},
            "tasks.reviews.finetune": {"epochs": 9, "batch_size": 4},
        }
    )
    hparams = hparams_for(params, "reviews", "gpt2")
    assert (hparams.epochs, hparams.clip, hparams.batch_size) == (9, 2.0, 4)
    assert hparams.weight_decay == params.finetune.weight_decay
    assert hparams_for(params, "reviews", "m").clip == params.finetune.clip
    by_method = hparams_for(params, "reviews", "gpt2", Method(finetune={"epochs": 3}))
    assert (by_method.epochs, by_method.clip, by_method.batch_size) == (3, 2.0, 4)


@pytest.mark.parametrize("place", ["models.gpt2", "tasks.reviews", "methods.naive"])
def test_an_override_inside_a_mapping_keeps_the_rest_of_it(load_with: Load, place: str) -> None:
    params = load_with({f"{place}.finetune": {"tune": "lora", "lora": {"rank": 4}}})
    hparams = hparams_for(params, "reviews", "gpt2", params.methods["naive"])
    assert hparams.lora.rank == 4
    assert hparams.lora.alpha == params.finetune.lora.alpha
    assert params.finetune.lora.rank != 4


def test_an_unknown_key_inside_an_override_is_refused(load_with: Load) -> None:
    with pytest.raises(
        UserError, match=r"models\.gpt2\.finetune: lora\.rnak: unknown name 'rnak' .*did you mean 'rank'"
    ):
        load_with({"models.gpt2.finetune": {"lora": {"rnak": 4}}})


def schemas(base: type[Strict] = Strict) -> Iterator[type[Strict]]:
    """Every schema of w2s."""
    for schema in base.__subclasses__():
        if schema.__module__.startswith("w2s."):
            yield schema
        yield from schemas(schema)


def test_no_default_of_a_schema_decides_a_result() -> None:
    for module in pkgutil.walk_packages(w2s.__path__, "w2s."):
        if not module.name.startswith(("w2s.pipeline", "w2s.__main__")):
            importlib.import_module(module.name)
    found = {
        f"{schema.__name__}.{name}"
        for schema in schemas()
        for name, field in schema.model_fields.items()
        if not field.is_required() and field.get_default(call_default_factory=True) not in (None, {}, [], (), "")
    }
    assert found == DEFAULTS.keys()


def family(split: object, *, sides: Count, bias: Fraction = 0.5) -> None:
    """Stands for a task family with options of its own."""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"side": 2}, "side: unknown name 'side' (known: sides, bias); did you mean 'sides'?"),
        ({}, "sides is missing"),
        ({"sides": 2, "bias": 2.0}, "bias: must be less than or equal to 1 (found 2.0)"),
        ({"sides": "2"}, "sides: must be a whole number (found '2')"),
        ({"sides": 2, "split": 1}, "split: unknown name 'split' (known: sides, bias)"),
    ],
)
def test_a_task_entrys_options_are_its_functions_keywords(options: dict[str, object], expected: str) -> None:
    entry = Task(family="reviews", setting="classification", answers={"true": ["a"], "false": ["b"]}, **options)
    with pytest.raises(UserError) as error:
        options_of(family, entry, "params.yaml: tasks.dice")
    assert message(error) == f"params.yaml: tasks.dice: {expected}"


def test_options_are_those_that_are_set_and_defaults_are_the_functions() -> None:
    entry = Corpus(family="reviews", documents=1, sides=6)
    assert options_of(family, entry, "here") == {"sides": 6}


def test_a_name_missing_from_a_long_catalogue(tmp_path: Path) -> None:
    file, text = tmp_path / "params.yaml", COMMITTED.read_text()
    assert text.count("  ladder: [s, l, xl]") == 1
    file.write_text(text.replace("  ladder: [s, l, xl]", "  ladder: [s, l, xxl]"))
    with pytest.raises(UserError) as error:
        load(file)
    expected = message(error).split("grid.ladder: ")[1]
    assert re.fullmatch(
        r"unknown name 'xxl' \(known: (\w[\w-]*, ){15}\w[\w-]* and \d+ more\); did you mean 'xl'\?", expected
    )


def test_unknown_family_and_setting() -> None:
    with pytest.raises(UserError) as error:
        tasks.family("reviws", "tasks.reviews.family")
    assert message(error).startswith("tasks.reviews.family: unknown name 'reviws' (known: amazon_polarity, anli_r2, ")
    assert message(error).endswith(" more); did you mean 'reviews'?")
    with pytest.raises(UserError) as error:
        settings.setting_class("clasification", "tasks.reviews.setting")
    assert message(error) == (
        "tasks.reviews.setting: unknown name 'clasification' (known: classification, generation, preference); "
        "did you mean 'classification'?"
    )
