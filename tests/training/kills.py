"""Kills stages with SIGKILL at random moments until so many kills are done; each must end as if nothing had happened.

Run `python -m tests.training.kills 100`. Stages are those of students of micro models by all kinds of methods, in forks
of this process, which save every `EVERY` seconds. Counted are kills after which a stage ended with other bits than
uninterrupted, started over though it had a checkpoint, or left something behind.
"""

import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import torch
import yaml

from stages import student
from tests.conftest import HPARAMS, WORDS
from w2s.core import files, stage
from w2s.pretraining import ladder
from w2s.training import state

EVERY = 0.02
LADDER = {"xs": 8, "s": 16, "l": 24}  # width
METHODS: dict[str, dict[str, object]] = {
    "naive": {},
    "stop": {"early_stopping": {}},
    "head": {"finetune": {"tune": "head", "learning_rate": 0.02}},
    "lora": {"finetune": {"tune": "lora"}},
    "path": {"bootstrap": {"via": ["s"]}, "rounds": {"count": 2}},
    "probe": {"probe_first": {"epochs": 2, "learning_rate": 0.05}},
    "texts": {"generative": {"epochs": 2, "learning_rate": 0.01}},
}
# What stages import only when they come to it, and what would take most of their time here.
LATE = ("w2s.training.finetune", "w2s.training.texts", "transformers.models.gpt_neox.modeling_gpt_neox", "peft")
NOT_IN_WORDS = ("head", "probe")
TEXTS = {"student": 160, "validation": 16, "test": 24}


def make(setting: str = "classification", epochs: int = 2) -> None:
    """A repository in the current folder with all that stage `student` reads."""
    in_words = setting == "generation"
    methods = [name for name in METHODS if not (in_words and name in NOT_IN_WORDS)]
    rng = np.random.default_rng(0)
    tokenizer = ladder.tokenizer(WORDS)
    for name, width in LADDER.items():
        config = ladder.architecture("neox", len(tokenizer), width, layers=1)
        folder = files.bases(0) / name
        ladder.initialized(config, torch.Generator().manual_seed(width)).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        for method in methods:
            shutil.copytree(folder, files.method(setting, method, 0) / name)
    for part, size in TEXTS.items():
        ids = list(map(str, range(size)))
        texts = [" ".join(rng.choice(WORDS, rng.integers(2, 9))) for _ in ids]
        files.write(files.inputs("mine", 0, part), files.TEXTS, {"id": ids, "text": texts, "group": ids})
        scores = [text.count("o") / 20 for text in texts]
        answers = {"answer": ["good room" if p > 0.2 else "bad" for p in scores]} if in_words else {"p": scores}
        schema = files.ANSWERS if in_words else files.LABELS
        files.write(files.weak_labels("mine", "xs", 0) / f"{part}.parquet", schema, {"id": ids, **answers})
        if part == "student":
            files.write(files.texts("mine", 0), files.strings("id", "text"), {"id": ids, "text": texts})
    files.write_json(files.CODE / "student.json", {"w2s/training/loop.py": "digest"})
    none = {key: [] for key in ("tasks", "weak", "strong", "methods", "ceilings")}
    none |= {"simulated": {"of": [], "weak": [], "methods": []}}
    block = none | {"tasks": ["mine"], "weak": ["xs"], "strong": ["l"], "methods": methods, "ceilings": ["texts"]}
    grid = {"reports": "reports", "ladder": [*LADDER], "seeds": [0]}
    model = {"family": "embedded", "corpus": "none", "architecture": "neox", "layers": 1, "steps": 0}
    content = {
        "grid": grid | dict.fromkeys(("classification", "preference", "generation"), none) | {setting: block},
        "split": {"supervisor": 48, **TEXTS},
        "finetune": HPARAMS.model_dump() | {"snapshots": 5, "learning_rate": 0.01, "epochs": epochs, "keep": "full"},
        "evaluate": {"seed": 0, "confidence": 0.9, "smallest_gap": 0.1},
        "corpora": {"none": {"family": "reviews", "documents": 1}},
        "tasks": {
            "mine": {
                "family": "local",
                "setting": setting,
                "corpus": "none",
                "answer_tokens": 2,
                "answers": {"true": ["yes"], "false": ["no"]},
            }
        },
        "models": {
            name: model | {"hidden": width, "learning_rate": 0.1, "warmup": 0.1} for name, width in LADDER.items()
        },
        "methods": METHODS,
    }
    Path("params.yaml").write_text(yaml.safe_dump(content))


def start(method: str, log: Path) -> BaseProcess:
    """Stage `student` in a fork, which says what it has to say to `log`."""
    process = get_context("fork").Process(target=_stage, args=(method, log))
    process.start()
    return process


def _stage(method: str, log: Path) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: SIM115, in place of pytest's
    state.SECONDS = EVERY
    state.SHARE = 1.0
    sys.argv = ["student", "mine", "xs", "l", method, "0"]
    stage.run(student.main)


def outputs(method: str) -> dict[str, bytes]:
    """All that the stage has written, and what it should not have left."""
    cell = ("student", "mine", "xs", "l", method)
    folders = [files.run(*cell), files.model(*cell), state.FOLDER]
    found = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {str(path): path.read_bytes() for path in found}


def remove(method: str) -> None:
    """What DVC does before it runs a stage."""
    for folder in (files.run, files.model):
        shutil.rmtree(folder("student", "mine", "xs", "l", method, 0), ignore_errors=True)


def main(kills: int, seed: int = 0) -> Counter[str]:
    """Counts of what happened; run in an empty folder."""
    for module in LATE:
        importlib.import_module(module)
    rng = random.Random(seed)
    log = Path("log.txt")
    maker = get_context("fork").Process(target=make, kwargs={"epochs": 8})
    maker.start()
    maker.join()
    expected: dict[str, dict[str, bytes]] = {}
    seconds: dict[str, float] = {}
    for method in METHODS:
        begin = time.monotonic()
        process = start(method, log)
        process.join()
        assert process.exitcode == 0, log.read_text()
        seconds[method] = time.monotonic() - begin
        expected[method] = outputs(method)
    counts: Counter[str] = Counter()
    while counts["kills"] < kills:
        method = rng.choice(list(METHODS))
        left = rng.choice([1, 1, 1, 2, 3])
        while True:
            remove(method)
            had_state = any(state.FOLDER.rglob("state.safetensors"))
            process = start(method, log)
            process.join(rng.uniform(0, seconds[method]))
            if was_killed := process.is_alive() and left > 0:
                left -= 1
                os.kill(process.pid, signal.SIGKILL)
            process.join()
            said = log.read_text()
            counts["kills"] += was_killed
            if had_state:
                counts["with a checkpoint"] += 1
                # A process that was killed early has said nothing yet.
                counts["started over"] += "starting over" in said or ("goes on" not in said and not was_killed)
            if not was_killed:
                counts["ended"] += 1
                if process.exitcode != 0:
                    print(said, file=sys.stderr)
                    counts["failed"] += 1
                counts["other bits"] += outputs(method) != expected[method]
                break
            counts["killed after the end"] += outputs(method) == expected[method]
    return counts


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        torch.set_num_threads(1)
        begin = time.monotonic()
        print(dict(main(int(sys.argv[1]))), f"{time.monotonic() - begin:.0f} s")
        os.chdir("/")
