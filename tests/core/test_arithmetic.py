"""Which stages compute with the same instructions on every processor."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from w2s.core import arithmetic
from w2s.pipeline import workers

ROOT = Path(__file__).parents[2]


def environment_of(*arguments: str, **given: str) -> dict[str, str]:
    """What a stage with these arguments finds in its environment as its script begins."""
    clean = {name: value for name, value in os.environ.items() if name not in arithmetic.PORTABLE}
    script = "import os, sys; import stages; print(*(f'{k}={v}' for k, v in os.environ.items()), sep='\\n')"
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=clean | given, capture_output=True, text=True, check=True)
    pairs = (line.partition("=") for line in done.stdout.splitlines())
    return {name: value for name, _, value in pairs if name in arithmetic.PORTABLE}


@pytest.mark.skipif(not arithmetic.has_avx2(), reason="needs a processor with AVX2")
def test_embedded_models_are_pinned_and_hub_models_are_not() -> None:
    assert environment_of("reviews", "xs", "0") == arithmetic.PORTABLE
    assert environment_of("sciq", "gpt2", "0") == {}


@pytest.mark.skipif(not arithmetic.has_avx2(), reason="needs a processor with AVX2")
def test_what_the_environment_says_stays() -> None:
    found = environment_of("reviews", "xs", "0", ATEN_CPU_CAPABILITY="default")
    assert found == arithmetic.PORTABLE | {"ATEN_CPU_CAPABILITY": "default"}


def test_a_processor_without_avx2_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "CPUINFO", tmp_path / "cpuinfo")
    assert not arithmetic.has_avx2()
    (tmp_path / "cpuinfo").write_text("flags\t\t: fpu sse sse2 avx avx2_like\n")
    assert not arithmetic.has_avx2()


@pytest.mark.parametrize("text", ["", "models: [", "models: 3", "models: {a: 3}", "- 1"])
def test_unreadable_parameters_are_for_others_to_refuse(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.yaml").write_text(text)
    assert arithmetic.is_portable(["gpt2"], tmp_path / "params.yaml")
    assert arithmetic.is_portable([], tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("ladder", "arguments", "portable"),
    [
        (["xs", "gpt2"], [], True),
        (["gpt2"], [], False),
        (["xs", "gpt2"], ["task", "xs", "0"], True),
        (["xs", "gpt2"], ["task", "gpt2", "0"], False),
        (["xs", "gpt2"], ["task", "xs", "gpt2", "naive", "0"], False),
        (["gpt2"], ["task", "xs"], True),
    ],
)
def test_a_hub_model_computes_as_its_processor_can(
    tmp_path: Path, ladder: list[str], arguments: list[str], portable: bool
) -> None:
    file = tmp_path / "params.yaml"
    models = {"xs": {"family": "embedded"}, "gpt2": {"family": "hub"}}
    file.write_text(yaml.safe_dump({"grid": {"ladder": ladder}, "models": models}))
    assert arithmetic.is_portable(arguments, file) is portable


@pytest.mark.slow
@pytest.mark.skipif(not arithmetic.has_avx2(), reason="needs a processor with AVX2")
def test_the_server_of_stages_is_pinned_before_numpy_is_loaded() -> None:
    """As its preloaded modules are imported, one after the other."""
    script = (
        "import importlib, os, sys\n"
        "from w2s.core.arithmetic import PORTABLE\n"
        "names = iter(sys.argv[1:])\n"
        "while 'numpy' not in sys.modules:\n"
        "    before = {name: os.environ.get(name) for name in PORTABLE}\n"
        "    importlib.import_module(next(names))\n"
        "assert before == PORTABLE, before\n"
    )
    clean = {name: value for name, value in os.environ.items() if name not in arithmetic.PORTABLE}
    subprocess.run([sys.executable, "-c", script, *workers.PRELOADED], env=clean, check=True, cwd=ROOT)
