"""A new part or loss is one file and one line of params.yaml: all else learns of it from there."""

import importlib
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from stages import code
from tests.conftest import WORDS, setting_of
from tests.core.test_params import written
from w2s import methods
from w2s.core import files
from w2s.core.checks import load
from w2s.core.errors import UserError
from w2s.core.params import Method, Params
from w2s.methods import compatibility, describe, parts_of, train
from w2s.methods.loss import Loss
from w2s.pipeline.cost.work import stage_passes
from w2s.settings.base import Examples
from w2s.training.finetune import finetune
from w2s.training.job import Job

ROOT = Path(__file__).parents[2]
PART = dedent(
    '''
    """Labels of some examples are turned into their opposite."""

    from dataclasses import replace
    from typing import ClassVar

    import numpy as np
    from pydantic import Field

    from w2s.core.params import Count
    from w2s.methods.part import Part, Phase
    from w2s.training.passes import Pass


    class Flip(Part):
        every: Count = Field(description="1 flips all labels, 2 the first of every two")
        phase: ClassVar[Phase] = Phase.LABELS
        on_truth: ClassVar[bool] = False

        def check(self, use):
            if self.every > use.params.split.student:
                raise ValueError(f"every: {self.every} is more than there are examples")

        def describe(self):
            return f"flips one label in {self.every}"

        def apply(self, job, train):
            labels = job.examples.labels.copy()
            labels[:: self.every] = 1 - labels[:: self.every]
            return train(replace(job, examples=replace(job.examples, labels=labels)))

        def passes(self, plan, train):
            yield Pass(plan.model, plan.hparams, read=7)
            yield from train(plan)
    '''
)
SIZES = {"supervisor": 8, "student": 8, "validation": 4, "test": 6, "texts": 0}

Add = Callable[[str, str, str], Path]


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Add]:
    """Adds a module to a package, in a copy of the repository that the package then reads, too; returns the copy."""
    added: list[str] = []

    def add(package: str, name: str, source: str) -> Path:
        root = tmp_path / "repository"
        for folder in ("w2s", "stages"):
            shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
        folder = root.joinpath(*package.split("."))
        (folder / f"{name}.py").write_text(source)
        # The package's own files come first: those of the copy are the same.
        parent = importlib.import_module(package)
        monkeypatch.setattr(parent, "__path__", [*parent.__path__, str(folder)])
        importlib.invalidate_caches()
        added.append(f"{package}.{name}")
        return root

    yield add
    for module in added:
        package, _, name = module.rpartition(".")
        sys.modules.pop(module, None)
        vars(sys.modules[package]).pop(name, None)


def params_with(tmp_path: Path, name: str, entry: dict[str, Any]) -> Params:
    """The committed parameters with one more method, which the grid uses."""
    changes = {f"methods.{name}": entry, "grid.classification.methods": ["naive", name]}
    return load(written(tmp_path / "params.yaml", changes))


def made_anew(params: Params, name: str, root: Path) -> set[str]:
    """Whose code or methods are others than without the method `name`, its file and its place in the grid."""
    naive_only = params.grid.classification.model_copy(update={"methods": ["naive"]})
    grid = params.grid.model_copy(update={"classification": naive_only})
    before = code.fingerprints(params.model_copy(update={"methods": {"naive": Method()}, "grid": grid}), ROOT)
    after = code.fingerprints(
        params.model_copy(update={"methods": {"naive": Method(), name: params.methods[name]}}), root
    )
    return {file for file, digests in after.items() if digests != before.get(file)}


def job_of(base: Path, out: Path, **hparams: object) -> Job:
    """A student of eight soft labels."""
    setting = setting_of(base, **hparams)
    rng = np.random.default_rng(0)
    ids = [str(index) for index in range(8)]
    texts = [" ".join(rng.choice(WORDS, 4)) for _ in ids]
    inputs = pa.table({"id": ids, "text": texts, "group": ids}, schema=setting.INPUTS)
    return Job(
        setting=setting,
        examples=Examples(inputs, rng.random(8), weak=True),
        test=inputs,
        rng_key=("student", "mine", 0),
        out=out,
        name="student",
    )


def predicted(out: Path) -> list[float]:
    return files.read_predictions(out / "predictions.parquet")["p"].to_pylist()


@pytest.mark.slow
def test_a_part_is_one_file_and_one_line(add: Add, tmp_path: Path, embedded_folder: Path) -> None:
    root = add("w2s.methods", "flip", PART)
    params = params_with(tmp_path, "odd", {"flip": {"every": 2}})
    method = params.methods["odd"]
    compatibility.require_all(params)
    assert describe(method) == "flips one label in 2."
    assert methods.modules(method, on_truth=False) == ["w2s.methods.flip"]
    assert methods.modules(method, on_truth=True) == []
    assert made_anew(params, "odd", root) == {"students/odd", "ceilings/odd", "evaluate"}
    assert "w2s/methods/flip.py" in code.fingerprints(params, root)["students/odd"]
    assert code.fingerprints(params, root)["ceilings/odd"] == {"method": {"finetune": {}}, "code": {}}
    item = {"task": "reviews", "weak": "xs", "strong": "l", "seed": "0"}
    naive, odd = (
        list(stage_passes("student", item | {"method": name}, params, {"reviews": SIZES})) for name in ("naive", "odd")
    )
    assert odd[1:] == naive
    assert (odd[0].model, odd[0].read) == ("l", 7)
    job = job_of(embedded_folder, tmp_path / "part")
    train(job, parts_of(method))
    labels = np.where(np.arange(8) % 2, job.examples.labels, 1 - job.examples.labels)
    finetune(replace(job, examples=replace(job.examples, labels=labels), out=tmp_path / "by-hand"))
    finetune(replace(job, out=tmp_path / "naive"))
    assert predicted(tmp_path / "part") == predicted(tmp_path / "by-hand")
    assert predicted(tmp_path / "part") != predicted(tmp_path / "naive")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"every": 10**6}, "params.yaml: methods.odd.flip: every: 1000000 is more than there are examples"),
        ({"every": 0}, "params.yaml: methods.odd.flip: every: must be greater than 0 (found 0)"),
        (
            {"evry": 2},
            "params.yaml: methods.odd.flip: evry: unknown name 'evry' (known: every); did you mean 'every'?",
        ),
    ],
)
def test_what_a_new_part_refuses(add: Add, tmp_path: Path, options: dict[str, int], expected: str) -> None:
    add("w2s.methods", "flip", PART)
    with pytest.raises(UserError) as error:
        compatibility.require_all(params_with(tmp_path, "odd", {"flip": options}))
    assert str(error.value) == expected


def example_of_contributing() -> tuple[str, dict[str, Any]]:
    """The loss that CONTRIBUTING.md adds, and its line of params.yaml."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    (source,) = re.findall(r"```python\n(.*?def brier.*?)```", text, re.DOTALL)
    (line,) = re.findall(r"`(brier: \{.*\})`", text)
    return source, yaml.safe_load(line)["brier"]


@pytest.mark.slow
def test_a_loss_is_one_file_and_one_line(add: Add, tmp_path: Path, embedded_folder: Path) -> None:
    source, entry = example_of_contributing()
    root = add("w2s.methods.losses", "brier", source)
    params = params_with(tmp_path, "brier", entry)
    method = params.methods["brier"]
    compatibility.require_all(params)
    assert describe(method) == "minimises the squared distance of its predictions from the weak labels."
    assert methods.modules(method, on_truth=False) == ["w2s.methods.loss", "w2s.methods.losses.brier"]
    # The report quotes the loss.
    assert made_anew(params, "brier", root) == {"students/brier", "ceilings/brier", "evaluate", "plot"}
    job = job_of(embedded_folder, tmp_path / "brier", batch_size=8)
    train(job, parts_of(method))
    rows = (tmp_path / "brier" / "live/plots/metrics/loss.tsv").read_text().splitlines()
    # A student that begins undecided.
    expected = entry["loss"]["weight"] * np.mean((0.5 - job.examples.labels) ** 2)
    assert float(rows[1].split("\t")[1]) == pytest.approx(expected, rel=1e-5)
    finetune(replace(job, out=tmp_path / "naive"))
    assert predicted(tmp_path / "brier") != predicted(tmp_path / "naive")


def test_options_of_a_new_loss_are_those_of_its_signature(add: Add) -> None:
    source, _ = example_of_contributing()
    add("w2s.methods.losses", "brier", source)
    with pytest.raises(UserError) as error:
        Loss(function="brier", weight=2.0).bound("params.yaml: methods.brier.loss")
    assert str(error.value) == ("params.yaml: methods.brier.loss: weight: must be less than or equal to 1 (found 2.0)")
