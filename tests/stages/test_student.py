"""The stage of students as it runs, on models and data small enough for this process: who learns whose labels."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from stages import recipe, student
from tests.conftest import SETTINGS, WORDS
from w2s import params as parameters
from w2s import records, settings
from w2s.determinism import generator
from w2s.errors import UserError
from w2s.pretraining import embedded
from w2s.training.finetune import finetune

LADDER = {"xs": 8, "s": 16, "m": 24, "l": 32}  # width
BLOCK = {"tasks": ["mine"], "weak": ["xs"], "strong": ["l"], "ceilings": ["naive"]}
METHODS = {"naive": {}, "bootstrap": {"via": "between"}, "by-s": {"via": ["s"]}, "rounds": {"rounds": 2}}
KINDS = {"classification": "p", "generation": "answer"}
ORDER = ("student", "mine", 0)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A setting, whose repository this process now stands in: base models, inputs and weak labels, but no truth."""
    monkeypatch.chdir(tmp_path)
    kind, rng = request.param, np.random.default_rng(0)
    tokenizer = embedded.tokenizer(WORDS)
    for name, width in LADDER.items():
        config = embedded.architecture("neox", len(tokenizer), width, layers=1)
        embedded.initialized(config, torch.Generator().manual_seed(width)).save_pretrained(records.BASES / name)
        tokenizer.save_pretrained(records.BASES / name)
    for part, size in (("student", 48), ("validation", 12), ("test", 16)):
        ids, texts = list(map(str, range(size))), [" ".join(rng.choice(WORDS, 5)) for _ in range(size)]
        records.write(records.inputs("mine", part), records.TEXTS, {"id": ids, "text": texts, "group": ids})
        p = np.clip([text.count("o") / 8 + rng.normal(0, 0.1) for text in texts], 0, 1)
        said = {"p": p, "answer": np.where(p > 0.5, "good room", "bad")}[KINDS[kind]]
        schema = {"p": records.LABELS, "answer": records.ANSWERS}[KINDS[kind]]
        records.write(records.weak_labels("mine", "xs", 0) / f"{part}.parquet", schema, {"id": ids, KINDS[kind]: said})
    empty = {key: [] for key in ("tasks", "weak", "strong", "methods", "ceilings")}
    grid = {"reports": "reports", "ladder": [*LADDER], "seeds": [0], **dict.fromkeys((*KINDS, "preference"), empty)}
    grid |= {kind: BLOCK | {"methods": [*METHODS]}, "simulated": {**empty, "of": "xs"}}
    del grid["simulated"]["ceilings"]
    model = {"family": "embedded", "corpus": "none", "layers": 1, "steps": 0, "learning_rate": 0.1, "seed": 0}
    content = {
        "grid": grid,
        "split": {"seed": 0, "supervisor": 48, "student": 48, "validation": 12, "test": 16},
        "finetune": SETTINGS.model_dump() | {"snapshots": 2, "learning_rate": 0.02},
        "evaluate": {"seed": 0, "resamples": 100, "confidence": 0.9, "smallest_gap": 0.1},
        "corpora": {"none": {"family": "reviews", "seed": 0, "documents": 1}},
        "tasks": {"mine": {"family": "local", "setting": kind, "answer_tokens": 2}},
        "models": {name: model | {"hidden": width} for name, width in LADDER.items()},
        "methods": METHODS,
    }
    Path("params.yaml").write_text(yaml.safe_dump(content))
    return kind


def made(method: str) -> Path:
    return Path("models/student/mine/xs/l", method, "0")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def taught(rung: str, teacher: Path, order: tuple[object, ...], out: Path) -> None:
    """One finetuning of a rung's base model by the labels in a folder, and what it then says of the same inputs."""
    reader = settings.reader(parameters.load(), "mine", rung)
    half, held, test = (records.inputs("mine", part) for part in ("student", "validation", "test"))
    examples, watched = (
        reader.examples(inputs, teacher / f"{part}.parquet")
        for inputs, part in ((half, "student"), (held, "validation"))
    )
    model = reader.HEAD.load_base(reader.base, reader.settings, generator())
    finetune(model, reader, examples, order, test, out, rung, "none", validation=watched)
    for inputs, part in ((half, "student"), (held, "validation")):
        reader.label(model, inputs, out / f"{part}.parquet")


@pytest.mark.parametrize(
    ("method", "rungs"),
    [("naive", []), ("bootstrap", ["s", "m"]), ("by-s", ["s"]), ("rounds", ["l"])],
)
def test_each_model_learns_the_labels_of_the_last(kind: str, method: str, rungs: list[str]) -> None:
    """Rung by rung as the ladder has them; and so every file comes out if each is finetuned by itself."""
    recipe.main(kind, method)
    student.main("mine", "xs", "l", method, 0)
    teacher = records.weak_labels("mine", "xs", 0)
    for hop, rung in enumerate([*rungs, "l"]):
        left = rungs[hop:]
        here = made(method) / "via" / f"{hop}-{rung}" if left else made(method)
        taught(rung, teacher, (*ORDER, *left), Path("by-hand", str(hop)))
        expected, found = contents(Path("by-hand", str(hop))), contents(here)
        if not left:
            expected = {name: content for name, content in expected.items() if name in found}
            assert not {"student.parquet", "validation.parquet"} & expected.keys()
        assert {name: content for name, content in found.items() if not name.startswith("via")} == expected
        if left:
            labels = [records.read_labels(folder / "student.parquet").to_pydict() for folder in (teacher, here)]
            assert labels[0]["id"] == labels[1]["id"]
            assert labels[0] != labels[1]
        teacher = here
    passed = [path.name for path in sorted(made(method).glob("via/*"))]
    assert passed == [f"{hop}-{rung}" for hop, rung in enumerate(rungs)]


def test_only_who_passes_through_rungs_reads_them(kind: str) -> None:
    """From the recipe's folder, so that the ladder's other rungs concern no student."""
    for method in ("naive", "bootstrap"):
        recipe.main(kind, method)
        student.main("mine", "xs", "l", method, 0)
    before = [contents(made(method)) for method in ("naive", "bootstrap")]
    assert {path.name for path in records.recipe(kind, "naive").iterdir()} == {"recipe.json"}
    assert {path.name for path in records.recipe(kind, "bootstrap").iterdir()} == {"recipe.json", "s", "m"}
    for rung in ("xs", "s", "m"):
        shutil.rmtree(records.BASES / rung)
    shutil.rmtree(records.recipe(kind, "naive"))
    for method, content in zip(("naive", "bootstrap"), before, strict=True):
        student.main("mine", "xs", "l", method, 0)
        assert contents(made(method)) == content
    shutil.rmtree(records.recipe(kind, "bootstrap") / "m")
    with pytest.raises(UserError, match=r"^models/recipe/\w+/bootstrap/m: no model here"):
        student.main("mine", "xs", "l", "bootstrap", 0)
    assert contents(made("bootstrap")) == before[1], "the last whole one stays"
