"""The stage of students as it runs, on models and data small enough for this process: who learns whose labels."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from stages import ceiling, student
from stages import method as method_stage
from tests.conftest import HPARAMS, WORDS
from w2s.core import files
from w2s.core.checks import load
from w2s.core.determinism import generator, numpy_generator
from w2s.core.errors import UserError
from w2s.methods.clean import Clean, cleaned
from w2s.pretraining import ladder
from w2s.settings import setting_for
from w2s.settings.base import Examples, Setting
from w2s.training.finetune import finetune
from w2s.training.job import Job

LADDER = {"xs": 8, "s": 16, "m": 24, "l": 32}  # width
BLOCK = {"tasks": ["mine"], "weak": ["xs"], "strong": ["l"], "ceilings": ["naive"]}
CLEAN = {"by": "neighbours", "action": "filter", "share": 0.25}
METHODS: dict[str, dict[str, object]] = {
    "naive": {},
    "bootstrap": {"bootstrap": {"via": "between"}},
    "by-s": {"bootstrap": {"via": ["s"]}},
    "rounds": {"rounds": {"count": 2}},
    "path-and-rounds": {"bootstrap": {"via": ["s"]}, "rounds": {"count": 2}},
    "hard": {"harden": {}},
    "stop": {"early_stopping": {}},
    "probe-first": {"probe_first": {"epochs": 2, "learning_rate": 0.05}},
    "few-shot": {"few_shot": {"shots": 4}},
    "clean": {"clean": CLEAN, "harden": {}},
    "imitate": {"imitate": {"template": "{text} is {label}"}},
}
NOT_IN_WORDS = ("hard", "probe-first", "clean")
KINDS = {"classification": "p", "generation": "answer"}
SCHEMAS = {"classification": files.LABELS, "generation": files.ANSWERS}
ANSWERS = {"true": ["yes", "good"], "false": ["no"]}
ORDER = ("student", "mine", 0)


def write_weak(kind: str, part: str, ids: Sequence[str], labels: Sequence[object]) -> None:
    """The supervisor's labels of a part."""
    file = files.weak_labels("mine", "xs", 0) / f"{part}.parquet"
    files.write(file, SCHEMAS[kind], {"id": ids, KINDS[kind]: labels})


def read_weak(part: str) -> dict[str, list]:
    return files.read_labels(files.weak_labels("mine", "xs", 0) / f"{part}.parquet").to_pydict()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A setting, whose repository this process now stands in: base models, inputs and weak labels, but no truth."""
    monkeypatch.chdir(tmp_path)
    kind = request.param
    rng = np.random.default_rng(0)
    tokenizer = ladder.tokenizer(WORDS)
    for name, width in LADDER.items():
        config = ladder.architecture("neox", len(tokenizer), width, layers=1)
        ladder.initialized(config, torch.Generator().manual_seed(width)).save_pretrained(files.bases(0) / name)
        tokenizer.save_pretrained(files.bases(0) / name)
    for part, size in (("student", 48), ("validation", 12), ("test", 16)):
        ids = list(map(str, range(size)))
        texts = [" ".join(rng.choice(WORDS, 5)) for _ in range(size)]
        files.write(files.inputs("mine", 0, part), files.TEXTS, {"id": ids, "text": texts, "group": ids})
        p = np.clip([text.count("o") / 8 + rng.normal(0, 0.1) for text in texts], 0, 1)
        labels = {"p": p, "answer": np.where(p > 0.5, "good room", "bad")}[KINDS[kind]]
        write_weak(kind, part, ids, labels)
    empty = {key: [] for key in ("tasks", "weak", "strong", "methods", "ceilings")}
    empty |= {"simulated": {"of": [], "weak": [], "methods": []}}
    grid = {"reports": "reports", "ladder": [*LADDER], "seeds": [0], **dict.fromkeys((*KINDS, "preference"), empty)}
    methods = [name for name in METHODS if kind == "classification" or name not in NOT_IN_WORDS]
    grid |= {kind: empty | BLOCK | {"methods": methods}}
    model = {
        "family": "embedded",
        "corpus": "none",
        "architecture": "neox",
        "layers": 1,
        "steps": 0,
        "learning_rate": 0.1,
        "warmup": 0.1,
    }
    content = {
        "grid": grid,
        "split": {"supervisor": 48, "student": 48, "validation": 12, "test": 16},
        "finetune": HPARAMS.model_dump() | {"snapshots": 2, "learning_rate": 0.02},
        "evaluate": {"seed": 0, "confidence": 0.9, "smallest_gap": 0.1},
        "corpora": {"none": {"family": "reviews", "documents": 1}},
        "tasks": {
            "mine": {"family": "local", "setting": kind, "corpus": "none", "answer_tokens": 2, "answers": ANSWERS}
        },
        "models": {name: model | {"hidden": width} for name, width in LADDER.items()},
        "methods": METHODS,
    }
    Path("params.yaml").write_text(yaml.safe_dump(content))
    files.write_json(files.CODE / "settings" / f"{kind}.json", {})
    for name in METHODS:
        files.write_json(files.CODE / "students" / f"{name}.json", {})
    return kind


def made(method: str) -> Path:
    """What a method's student has left, beside its weights."""
    return Path("runs/student/mine/xs/l", method, "0")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def predicted(folder: Path) -> np.ndarray:
    """What was answered [snapshots, test inputs]."""
    table = files.read_predictions(folder / "predictions.parquet")
    return table[table.column_names[-1]].to_numpy().reshape(-1, 16)


def setting_by(model: str) -> Setting:
    """The task as one base model reads it, without a method."""
    return setting_for(load(), "mine", model, files.bases(0))


def job_of(setting: Setting, labels: Path, out: Path) -> Job:
    """One finetuning on the labels in a folder."""
    return Job(
        setting=setting,
        examples=setting.read(files.inputs("mine", 0, "student"), labels / "student.parquet", weak=True),
        validation=setting.read(files.inputs("mine", 0, "validation"), labels / "validation.parquet", weak=True),
        test=files.read(files.inputs("mine", 0, "test"), files.TEXTS),
        rng_key=ORDER,
        out=out,
        name="by hand",
    )


def train_by_hand(name: str, labels: Path, rng_key: tuple[object, ...], out: Path) -> None:
    """One finetuning of a base model by the labels in a folder, and what it then answers to the same inputs."""
    setting = setting_by(name)
    job = replace(job_of(setting, labels, out), rng_key=rng_key)
    model = finetune(job)
    for part in ("student", "validation"):
        setting.label(model, files.read(files.inputs("mine", 0, part), files.TEXTS), out / f"{part}.parquet")


def require_labels_passed_on(kind: str, method: str, steps: list[tuple[str, ...]]) -> None:
    """Each model learns the labels of the last: every file comes out if each is finetuned by itself.

    Of each step before the student: the model, and those of the same part that follow it; all name its stream.
    """
    method_stage.main(kind, method, 0)
    student.main("mine", "xs", "l", method, 0)
    teacher = files.weak_labels("mine", "xs", 0)
    path = [models[0] for models in steps]
    for step, left in enumerate([*steps, ()]):
        model = left[0] if left else "l"
        here = made(method) / "via" / f"{step}-{model}" if left else made(method)
        by_hand = Path("by-hand", str(step))
        train_by_hand(model, teacher, (*ORDER, *left), by_hand)
        expected = contents(by_hand)
        found = contents(here)
        if not left:
            expected = {name: content for name, content in expected.items() if name in found}
            assert not {"student.parquet", "validation.parquet"} & expected.keys()
        assert {name: content for name, content in found.items() if not name.startswith("via")} == expected
        if left:
            labels = [files.read_labels(folder / "student.parquet").to_pydict() for folder in (teacher, here)]
            assert labels[0]["id"] == labels[1]["id"]
            assert labels[0] != labels[1]
        teacher = here
    passed = [folder.name for folder in sorted(made(method).glob("via/*"))]
    assert passed == [f"{step}-{model}" for step, model in enumerate(path)]


@pytest.mark.parametrize(
    ("method", "steps"),
    [
        ("naive", []),
        ("bootstrap", [("s", "m"), ("m",)]),
        ("by-s", [("s",)]),
        ("rounds", [("l",)]),
    ],
)
def test_each_model_learns_the_labels_of_the_last(kind: str, method: str, steps: list[tuple[str, ...]]) -> None:
    """Model by model as the ladder has them."""
    require_labels_passed_on(kind, method, steps)


@pytest.mark.parametrize("kind", ["classification"], indirect=True)
def test_rounds_begin_at_the_end_of_a_path(kind: str) -> None:
    require_labels_passed_on(kind, "path-and-rounds", [("s",), ("l",)])


@pytest.mark.parametrize("kind", ["classification"], indirect=True)
def test_weights_stand_apart_from_the_run(kind: str) -> None:
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["finetune"]["keep"] = "full"
    Path("params.yaml").write_text(yaml.safe_dump(content))
    method_stage.main(kind, "by-s", 0)
    student.main("mine", "xs", "l", "by-s", 0)
    weights = Path("models/student/mine/xs/l/by-s/0")
    assert weights == files.model("student", "mine", "xs", "l", "by-s", 0)
    assert made("by-s") == files.run("student", "mine", "xs", "l", "by-s", 0)
    assert (weights / "config.json").exists()
    assert not any(path.suffix == ".safetensors" for path in made("by-s").rglob("*"))
    setting = setting_by("l")
    model = setting.HEAD.load_tuned(weights, setting.base, setting.hparams)
    test = files.read(files.inputs("mine", 0, "test"), files.TEXTS)
    assert np.array_equal(setting.predict(model, setting.encode(test)), predicted(made("by-s"))[-1])


def test_only_who_passes_through_other_models_reads_them(kind: str) -> None:
    """From the method's folder, so that the ladder's other models concern no student."""
    for method in ("naive", "bootstrap"):
        method_stage.main(kind, method, 0)
        student.main("mine", "xs", "l", method, 0)
    before = [contents(made(method)) for method in ("naive", "bootstrap")]
    assert {path.name for path in files.method(kind, "naive", 0).iterdir()} == {"method.json"}
    assert {path.name for path in files.method(kind, "bootstrap", 0).iterdir()} == {"method.json", "s", "m"}
    for model in ("xs", "s", "m"):
        shutil.rmtree(files.bases(0) / model)
    shutil.rmtree(files.method(kind, "naive", 0))
    for method, content in zip(("naive", "bootstrap"), before, strict=True):
        student.main("mine", "xs", "l", method, 0)
        assert contents(made(method)) == content
    shutil.rmtree(files.method(kind, "bootstrap", 0) / "m")
    with pytest.raises(UserError, match=r"^models/method/\w+/bootstrap/0/m: no model here"):
        student.main("mine", "xs", "l", "bootstrap", 0)
    assert contents(made("bootstrap")) == before[1], "the last whole one stays"


@pytest.mark.parametrize("kind", ["generation"], indirect=True)
def test_an_encoder_that_should_write_is_refused_by_the_method(kind: str, bert_folder: Path) -> None:
    shutil.rmtree(files.bases(0) / "l")
    shutil.copytree(bert_folder, files.bases(0) / "l")
    with pytest.raises(UserError, match=r"^models/base/0/l: an encoder fills masks and cannot go on with a text$"):
        method_stage.main(kind, "naive", 0)
    assert not files.method(kind, "naive", 0).exists()


@pytest.mark.parametrize("kind", ["classification"], indirect=True)
def test_hard_labels_are_the_weak_ones_rounded(kind: str) -> None:
    student.main("mine", "xs", "l", "hard", 0)
    labels = read_weak("student")
    write_weak(kind, "student", labels["id"], np.round(labels["p"]))
    student.main("mine", "xs", "l", "naive", 0)
    assert contents(made("hard")) == contents(made("naive"))


def test_imitation_is_told_every_label_and_no_truth(kind: str) -> None:
    """As if the inputs of all parts had the supervisor's labels in them."""
    student.main("mine", "xs", "l", "imitate", 0)
    student.main("mine", "xs", "l", "naive", 0)
    assert predicted(made("imitate")).tolist() != predicted(made("naive")).tolist()
    for part in ("student", "validation", "test"):
        labels = read_weak(part)
        answers = dict(zip(labels["id"], labels[KINDS[kind]], strict=True))
        rows = files.read(files.inputs("mine", 0, part), files.TEXTS).to_pylist()
        for row in rows:
            answer = answers[row["id"]]
            word = answer if kind == "generation" else "yes" if answer > 0.5 else "no"
            row["text"] += f" is {word}"
        columns = {name: [row[name] for row in rows] for name in files.TEXTS.names}
        files.write(files.inputs("mine", 0, part), files.TEXTS, columns)
    student.main("mine", "xs", "l", "naive", 0)
    assert contents(made("imitate")) == contents(made("naive"))


@pytest.mark.parametrize("kind", ["classification"], indirect=True)
def test_imitation_in_words_that_the_model_lacks_is_refused(kind: str) -> None:
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["methods"]["imitate"]["imitate"]["template"] = "{text} i think {label}"
    Path("params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(UserError) as error:
        student.main("mine", "xs", "l", "imitate", 0)
    assert str(error.value) == (
        "params.yaml: methods.imitate.imitate.template: 'i' is unknown to the tokenizer of l; choose another word"
    )


def test_stopping_stays_with_the_snapshot_nearest_to_held_out_weak_labels(kind: str) -> None:
    """Held out here are the test inputs, of which predictions tell how near each snapshot came."""
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["finetune"] |= {"snapshots": 9, "learning_rate": 0.05}
    Path("params.yaml").write_text(yaml.safe_dump(content))
    shutil.copy(files.inputs("mine", 0, "test"), files.inputs("mine", 0, "validation"))
    labels = read_weak("test")
    targets = np.array(labels[KINDS[kind]])
    if kind == "classification":
        # Overconfident answers are far from these.
        targets = 0.25 + targets / 2
    write_weak(kind, "validation", labels["id"], targets)
    for method in ("naive", "stop"):
        student.main("mine", "xs", "l", method, 0)
    passed = predicted(made("naive"))
    if kind == "classification":
        far = -(targets * np.log(passed) + (1 - targets) * np.log(1 - passed)).mean(axis=1)
    else:
        far = (passed != targets).mean(axis=1)
    # Of equals the first:
    best = int(far.argmin())
    assert 0 < best < 8, "neither the first nor the last: else this shows nothing"
    steps = sorted(set(files.read_predictions(made("stop") / "predictions.parquet")["step"].to_pylist()))
    assert json.loads((made("stop") / "run.json").read_text())["stopped"] == steps[best]
    for index, answers in enumerate(predicted(made("stop"))):
        nearest = int(far[: index + 1].argmin())
        assert np.array_equal(answers, passed[nearest]), index


@pytest.mark.parametrize("kind", ["classification"], indirect=True)
def test_a_probe_first_hands_its_head_to_the_student(kind: str) -> None:
    student.main("mine", "xs", "l", "probe-first", 0)
    setting = setting_by("l")
    job = replace(job_of(setting, files.weak_labels("mine", "xs", 0), Path("by-hand/all")), validation=None)
    probe_job = replace(
        job,
        setting=setting.with_hparams(tune="head", epochs=2, learning_rate=0.05),
        rng_key=("probe", *ORDER),
        out=Path("by-hand/probe"),
    )
    probe = finetune(probe_job)
    assert probe.head.weight.abs().sum() > 0
    model = setting.HEAD.load_base(setting.base, setting.hparams, generator())
    model.head.load_state_dict(probe.head.state_dict())
    finetune(job, model)
    assert np.array_equal(predicted(made("probe-first") / "probe"), predicted(Path("by-hand/probe")))
    assert np.array_equal(predicted(made("probe-first")), predicted(Path("by-hand/all")))
    student.main("mine", "xs", "l", "naive", 0)
    assert not np.array_equal(predicted(made("naive")), predicted(made("probe-first")))


@pytest.mark.parametrize("kind", ["classification"], indirect=True)
def test_cleaned_labels_are_those_that_base_features_leave(kind: str) -> None:
    """As if a student had been given only the examples that a cleaning of the base's own features keeps."""
    student.main("mine", "xs", "l", "clean", 0)
    setting = setting_by("l")
    job = job_of(setting, files.weak_labels("mine", "xs", 0), Path("by-hand"))
    frozen = setting.HEAD.load_base(setting.base, setting.with_hparams(tune="head").hparams, generator())
    features = setting.features(frozen, setting.encode(job.examples.inputs))
    labels, kept = cleaned(features, job.examples.labels, Clean(**CLEAN), numpy_generator("clean", *ORDER))
    assert len(kept) == 36
    examples = Examples(job.examples.inputs.take(kept), np.round(labels), weak=True)
    finetune(replace(job, examples=examples))
    assert np.array_equal(predicted(made("clean")), predicted(Path("by-hand")))
    assert json.loads((made("clean") / "run.json").read_text())["examples"] == 36


@pytest.mark.parametrize("kind", ["classification"], indirect=True)
def test_a_ceiling_learns_truth_as_it_stands(kind: str) -> None:
    """Rounding, cleaning, stopping by weak labels and paths of labels mean nothing there: it is the naive one."""
    labels = read_weak("student")
    files.write(files.truth("mine", 0, "student"), files.LABELS, labels | {"p": np.round(labels["p"])[::-1]})
    found = {}
    for method in ("naive", "hard", "stop", "clean", "bootstrap", "rounds"):
        ceiling.main("mine", "l", method, 0)
        found[method] = contents(Path("runs/ceiling/mine/l", method, "0"))
    assert all(content == found["naive"] for content in found.values())


def test_a_ceiling_of_few_shots_reads_truth(kind: str) -> None:
    """It answers as a student does whose supervisor is always right."""
    weak = read_weak("student")
    labels = np.array(weak[KINDS[kind]])[::-1]
    truth = np.round(labels) if kind == "classification" else labels
    files.write(files.truth("mine", 0, "student"), SCHEMAS[kind], {"id": weak["id"], KINDS[kind]: truth})
    ceiling.main("mine", "l", "few-shot", 0)
    student.main("mine", "xs", "l", "few-shot", 0)
    found = Path("runs/ceiling/mine/l/few-shot/0")
    assert predicted(found).tolist() != predicted(made("few-shot")).tolist()
    write_weak(kind, "student", weak["id"], truth)
    student.main("mine", "xs", "l", "few-shot", 0)
    assert predicted(found).tolist() == predicted(made("few-shot")).tolist()


def test_few_shots_stand_before_every_question(kind: str) -> None:
    student.main("mine", "xs", "l", "few-shot", 0)
    assert json.loads((made("few-shot") / "run.json").read_text())["steps"] == 0
    assert not (made("few-shot") / "live").exists()
    setting = setting_by("l")
    texts = files.read(files.inputs("mine", 0, "student"), files.TEXTS)["text"].to_pylist()
    labels = read_weak("student")[KINDS[kind]]
    rng = generator("shots", *ORDER)
    order = torch.randperm(48, generator=rng).tolist()
    words = labels if kind == "generation" else ["yes" if p > 0.5 else "no" for p in labels]
    drawn = order[:4]
    if kind == "classification":
        # Half of each, of either those that were drawn first.
        pairs = zip(*([i for i in order if words[i] == word][:2] for word in ("yes", "no")), strict=True)
        drawn = [index for pair in pairs for index in pair]
    # Shuffled: neither the file's order nor turns of yes and no.
    drawn = [drawn[place] for place in torch.randperm(4, generator=rng).tolist()]
    lead = "".join(f"{texts[index]} {words[index]}\n\n" for index in drawn)
    test = files.read(files.inputs("mine", 0, "test"), files.TEXTS)
    (answers,) = predicted(made("few-shot"))
    assert answers.tolist() == setting.zero_shot(test, lead).tolist()
    assert answers.tolist() != setting.zero_shot(test).tolist()


def test_more_shots_than_the_model_reads_are_refused(kind: str) -> None:
    content = yaml.safe_load(Path("params.yaml").read_text())
    content["finetune"]["context"] = 24
    Path("params.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(
        UserError,
        match=r"params.yaml: methods.few-shot.few_shot.shots: 4 examples take \d+ tokens, but l reads 24; show fewer",
    ):
        student.main("mine", "xs", "l", "few-shot", 0)
    assert not made("few-shot").exists()
