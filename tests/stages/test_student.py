"""The stage of students as it runs, on models and data small enough for this process: who learns whose labels."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from stages import ceiling, student
from stages import method as method_stage
from tests.conftest import HPARAMS, WORDS
from w2s import settings
from w2s.core import files
from w2s.core import params as parameters
from w2s.core.determinism import generator, numpy_generator
from w2s.core.errors import UserError
from w2s.methods.clean import cleaned
from w2s.pretraining import ladder
from w2s.settings import Labelled
from w2s.training.finetune import finetune

LADDER = {"xs": 8, "s": 16, "m": 24, "l": 32}  # width
BLOCK = {"tasks": ["mine"], "weak": ["xs"], "strong": ["l"], "ceilings": ["naive"]}
METHODS: dict[str, dict[str, object]] = {
    "naive": {},
    "bootstrap": {"via": "between"},
    "by-s": {"via": ["s"]},
    "rounds": {"rounds": 2},
    "hard": {"labels": "hard"},
    "stop": {"stop": "weak"},
    "probe-first": {"probe": {"epochs": 2, "learning_rate": 0.05}},
    "few-shot": {"shots": 4},
    "clean": {"clean": {"by": "neighbours", "action": "filter", "share": 0.25}, "labels": "hard"},
}
NOT_IN_WORDS = ("hard", "probe-first", "clean")
KINDS = {"classification": "p", "generation": "answer"}
SCHEMAS = {"classification": files.LABELS, "generation": files.ANSWERS}
ANSWERS = {"true": ["yes", "good"], "false": ["no"]}
ORDER = ("student", "mine", 0)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A setting, whose repository this process now stands in: base models, inputs and weak labels, but no truth."""
    monkeypatch.chdir(tmp_path)
    kind, rng = request.param, np.random.default_rng(0)
    tokenizer = ladder.tokenizer(WORDS)
    for name, width in LADDER.items():
        config = ladder.architecture("neox", len(tokenizer), width, layers=1)
        ladder.initialized(config, torch.Generator().manual_seed(width)).save_pretrained(files.BASES / name)
        tokenizer.save_pretrained(files.BASES / name)
    for part, size in (("student", 48), ("validation", 12), ("test", 16)):
        ids, texts = list(map(str, range(size))), [" ".join(rng.choice(WORDS, 5)) for _ in range(size)]
        files.write(files.inputs("mine", part), files.TEXTS, {"id": ids, "text": texts, "group": ids})
        p = np.clip([text.count("o") / 8 + rng.normal(0, 0.1) for text in texts], 0, 1)
        said = {"p": p, "answer": np.where(p > 0.5, "good room", "bad")}[KINDS[kind]]
        files.write(
            files.weak_labels("mine", "xs", 0) / f"{part}.parquet", SCHEMAS[kind], {"id": ids, KINDS[kind]: said}
        )
    empty = {key: [] for key in ("tasks", "weak", "strong", "methods", "ceilings")}
    grid = {"reports": "reports", "ladder": [*LADDER], "seeds": [0], **dict.fromkeys((*KINDS, "preference"), empty)}
    methods = [name for name in METHODS if kind == "classification" or name not in NOT_IN_WORDS]
    grid |= {kind: BLOCK | {"methods": methods}, "simulated": {**empty, "of": "xs"}}
    del grid["simulated"]["ceilings"]
    model = {"family": "embedded", "corpus": "none", "architecture": "neox", "layers": 1, "steps": 0}
    model |= {"learning_rate": 0.1, "warmup": 0.1, "seed": 0}
    content = {
        "grid": grid,
        "split": {"seed": 0, "supervisor": 48, "student": 48, "validation": 12, "test": 16},
        "finetune": HPARAMS.model_dump() | {"snapshots": 2, "learning_rate": 0.02},
        "evaluate": {"seed": 0, "resamples": 100, "confidence": 0.9, "smallest_gap": 0.1},
        "corpora": {"none": {"family": "reviews", "seed": 0, "documents": 1}},
        "tasks": {
            "mine": {"family": "local", "setting": kind, "corpus": "none", "answer_tokens": 2, "answers": ANSWERS}
        },
        "models": {name: model | {"hidden": width} for name, width in LADDER.items()},
        "methods": METHODS,
    }
    Path("params.yaml").write_text(yaml.safe_dump(content))
    for name in METHODS:
        files.write_json(files.CODE / "students" / f"{name}.json", {})
    return kind


def made(method: str) -> Path:
    return Path("models/student/mine/xs/l", method, "0")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def predicted(folder: Path) -> np.ndarray:
    """What was answered [snapshots, test inputs]."""
    table = files.read_predictions(folder / "predictions.parquet")
    return table[table.column_names[-1]].to_numpy().reshape(-1, 16)


def taught(rung: str, teacher: Path, order: tuple[object, ...], out: Path) -> None:
    """One finetuning of a rung's base model by the labels in a folder, and what it then says of the same inputs."""
    reader = settings.reader(parameters.load(), "mine", rung)
    half, held, test = (files.inputs("mine", part) for part in ("student", "validation", "test"))
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
    method_stage.main(kind, method)
    student.main("mine", "xs", "l", method, 0)
    teacher = files.weak_labels("mine", "xs", 0)
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
            labels = [files.read_labels(folder / "student.parquet").to_pydict() for folder in (teacher, here)]
            assert labels[0]["id"] == labels[1]["id"]
            assert labels[0] != labels[1]
        teacher = here
    passed = [path.name for path in sorted(made(method).glob("via/*"))]
    assert passed == [f"{hop}-{rung}" for hop, rung in enumerate(rungs)]


def test_only_who_passes_through_rungs_reads_them(kind: str) -> None:
    """From the method's folder, so that the ladder's other rungs concern no student."""
    for method in ("naive", "bootstrap"):
        method_stage.main(kind, method)
        student.main("mine", "xs", "l", method, 0)
    before = [contents(made(method)) for method in ("naive", "bootstrap")]
    assert {path.name for path in files.method(kind, "naive").iterdir()} == {"method.json"}
    assert {path.name for path in files.method(kind, "bootstrap").iterdir()} == {"method.json", "s", "m"}
    for rung in ("xs", "s", "m"):
        shutil.rmtree(files.BASES / rung)
    shutil.rmtree(files.method(kind, "naive"))
    for method, content in zip(("naive", "bootstrap"), before, strict=True):
        student.main("mine", "xs", "l", method, 0)
        assert contents(made(method)) == content
    shutil.rmtree(files.method(kind, "bootstrap") / "m")
    with pytest.raises(UserError, match=r"^models/method/\w+/bootstrap/m: no model here"):
        student.main("mine", "xs", "l", "bootstrap", 0)
    assert contents(made("bootstrap")) == before[1], "the last whole one stays"


@pytest.mark.parametrize("kind", ["generation"], indirect=True)
def test_an_encoder_that_should_speak_is_refused_by_the_method(kind: str, bert_folder: Path) -> None:
    shutil.rmtree(files.BASES / "l")
    shutil.copytree(bert_folder, files.BASES / "l")
    with pytest.raises(UserError, match=r"^models/base/l: an encoder fills masks and cannot go on with a text$"):
        method_stage.main(kind, "naive")
    assert not files.method(kind, "naive").exists()


@pytest.mark.parametrize("kind", ["classification"], indirect=True)
def test_hard_labels_are_the_weak_ones_rounded(kind: str) -> None:
    student.main("mine", "xs", "l", "hard", 0)
    file = files.weak_labels("mine", "xs", 0) / "student.parquet"
    labels = files.read_labels(file).to_pydict()
    files.write(file, files.LABELS, labels | {"p": np.round(labels["p"])})
    student.main("mine", "xs", "l", "naive", 0)
    assert contents(made("hard")) == contents(made("naive"))


def test_stopping_stays_with_the_snapshot_nearest_to_held_out_weak_labels(kind: str) -> None:
    """Held out here are the test inputs, of which predictions tell how near each snapshot came."""
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["finetune"] |= {"snapshots": 9, "learning_rate": 0.05}
    Path("params.yaml").write_text(yaml.safe_dump(content))
    shutil.copy(files.inputs("mine", "test"), files.inputs("mine", "validation"))
    weak = files.weak_labels("mine", "xs", 0)
    given = files.read_labels(weak / "test.parquet")[KINDS[kind]].to_numpy()
    if kind == "classification":  # overconfident ones are far from these
        given = 0.25 + given / 2
    files.write(
        weak / "validation.parquet",
        SCHEMAS[kind],
        {"id": [*map(str, range(16))], KINDS[kind]: given},
    )
    for method in ("naive", "stop"):
        student.main("mine", "xs", "l", method, 0)
    passed, stayed = predicted(made("naive")), predicted(made("stop"))
    if kind == "classification":
        far = -(given * np.log(passed) + (1 - given) * np.log(1 - passed)).mean(axis=1)
    else:
        far = (passed != given).mean(axis=1)
    best = int(far.argmin())  # of equals the first
    assert 0 < best < 8, "neither the first nor the last: else this shows nothing"
    steps = sorted(set(files.read_predictions(made("stop") / "predictions.parquet")["step"].to_pylist()))
    assert json.loads((made("stop") / "run.json").read_text())["stopped"] == steps[best]
    for index, answers in enumerate(stayed):
        nearest = int(far[: index + 1].argmin())
        assert np.array_equal(answers, passed[nearest]), index


@pytest.mark.parametrize("kind", ["classification"], indirect=True)
def test_a_probe_first_hands_its_head_to_the_student(kind: str) -> None:
    student.main("mine", "xs", "l", "probe-first", 0)
    reader = settings.reader(parameters.load(), "mine", "l")
    inputs, test = files.inputs("mine", "student"), files.inputs("mine", "test")
    examples = reader.examples(inputs, files.weak_labels("mine", "xs", 0) / "student.parquet")
    frozen = reader.tuned_by({"tune": "head", "epochs": 2, "learning_rate": 0.05})
    probe, model = (reader.HEAD.load_base(reader.base, each.settings, generator()) for each in (frozen, reader))
    finetune(probe, frozen, examples, ("probe", *ORDER), test, Path("by-hand/probe"), "probe", "none")
    assert probe.head.weight.abs().sum() > 0
    model.head.load_state_dict(probe.head.state_dict())
    finetune(model, reader, examples, ORDER, test, Path("by-hand/all"), "all", "none")
    assert np.array_equal(predicted(made("probe-first") / "probe"), predicted(Path("by-hand/probe")))
    assert np.array_equal(predicted(made("probe-first")), predicted(Path("by-hand/all")))
    student.main("mine", "xs", "l", "naive", 0)
    assert not np.array_equal(predicted(made("naive")), predicted(made("probe-first")))


@pytest.mark.parametrize("kind", ["classification"], indirect=True)
def test_cleaned_labels_are_those_that_base_features_leave(kind: str) -> None:
    """As if a student had been given only the examples that a cleaning of the base's own features keeps."""
    student.main("mine", "xs", "l", "clean", 0)
    reader = settings.reader(parameters.load(), "mine", "l")
    inputs, test = files.inputs("mine", "student"), files.inputs("mine", "test")
    given = reader.examples(inputs, files.weak_labels("mine", "xs", 0) / "student.parquet")
    frozen = reader.HEAD.load_base(reader.base, reader.tuned_by({"tune": "head"}).settings, generator())
    features, how = reader.features(frozen, given.items), parameters.load().methods["clean"].clean
    labels, kept = cleaned(features, given.labels, how, numpy_generator("clean", *ORDER))
    assert len(kept) == 36
    examples = Labelled([given.items[index] for index in kept], np.round(labels))
    model = reader.HEAD.load_base(reader.base, reader.settings, generator())
    finetune(model, reader, examples, ORDER, test, Path("by-hand"), "by hand", "none")
    assert np.array_equal(predicted(made("clean")), predicted(Path("by-hand")))
    assert json.loads((made("clean") / "run.json").read_text())["examples"] == 36


def test_a_ceiling_of_few_shots_is_shown_truth(kind: str) -> None:
    """It answers as a student does whose supervisor is always right."""
    weak = files.weak_labels("mine", "xs", 0) / "student.parquet"
    given = files.read_labels(weak)
    said = given[KINDS[kind]].to_numpy()[::-1]
    truth = np.round(said) if kind == "classification" else said
    files.write(files.truth("mine", "student"), SCHEMAS[kind], {"id": given["id"], KINDS[kind]: truth})
    ceiling.main("mine", "l", "few-shot", 0)
    student.main("mine", "xs", "l", "few-shot", 0)
    found = Path("models/ceiling/mine/l/few-shot/0")
    assert predicted(found).tolist() != predicted(made("few-shot")).tolist()
    shutil.copy(files.truth("mine", "student"), weak)
    student.main("mine", "xs", "l", "few-shot", 0)
    assert predicted(found).tolist() == predicted(made("few-shot")).tolist()


def test_few_shots_stand_before_every_question(kind: str) -> None:
    student.main("mine", "xs", "l", "few-shot", 0)
    assert json.loads((made("few-shot") / "run.json").read_text())["steps"] == 0
    assert not (made("few-shot") / "live").exists()
    reader = settings.reader(parameters.load(), "mine", "l")
    shown = files.read(files.inputs("mine", "student"), files.TEXTS)["text"].to_pylist()
    labels = files.read_labels(files.weak_labels("mine", "xs", 0) / "student.parquet")[KINDS[kind]].to_pylist()
    order = torch.randperm(48, generator=generator("shots", *ORDER)).tolist()
    words = labels if kind == "generation" else ["yes" if p > 0.5 else "no" for p in labels]
    drawn = order[:4]
    if kind == "classification":  # half of each, of either those that were drawn first
        drawn = [index for word in ("yes", "no") for index in [i for i in order if words[i] == word][:2]]
    lead = "".join(f"{shown[index]} {words[index]}\n\n" for index in sorted(drawn))
    asked = files.read(files.inputs("mine", "test"), files.TEXTS)
    (answers,) = predicted(made("few-shot"))
    assert answers.tolist() == reader.untaught(asked, lead).tolist()
    assert answers.tolist() != reader.untaught(asked).tolist()


def test_more_shots_than_the_model_reads_are_refused(kind: str) -> None:
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["finetune"]["context"] = 24
    Path("params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=r"params.yaml: shots: 4 examples take \d+ tokens, but l reads 24; show fewer"):
        student.main("mine", "xs", "l", "few-shot", 0)
    assert not made("few-shot").exists()
