"""What this machine does in a second: short runs of the pipeline's own code on the pipeline's own shapes.

`python -m w2s.cost.calibration` reads from stdin what to measure and prints one JSON line a result. It is a process of
its own, as a stage is, and as many run at once as there will be lanes, because lanes share cores, caches and memory.
"""

import itertools
import json
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq

from w2s import records, tasks
from w2s.cost.work import Machine
from w2s.params import Params, load, options_of
from w2s.stage import run

SAMPLE = 2048  # texts of a task that are looked at


def main() -> None:
    """Measure what stdin asks for: tasks to prepare, models to pretrain, and pairs of a task and a model to tune."""
    asked = json.load(sys.stdin)
    light, params = time.time() - asked["born"], load()
    texts = {task: sample(task) for task, _ in asked["finetune"]}
    for task in asked["prepare"]:
        if "repository" not in params.tasks[task].options:  # nothing is fetched
            seconds, texts[task] = drawn(task, params)
            tell("prepare", task, seconds)
    start = time.perf_counter()
    from w2s.cost import speed  # imports what a training stage does

    heavy = light + time.perf_counter() - start
    tell("machine", "", asdict(Machine(light, heavy, resident())))
    with TemporaryDirectory() as folder:
        bench = speed.Bench(params, Path(folder))
        for model in asked["base"]:
            tell("base", model, asdict(bench.pretrained(model)))
        for task, model in asked["finetune"]:
            tell("finetune", f"{task} {model}", asdict(bench.tuned(task, model, texts[task])))
    tell("end", "", time.time())


def tell(kind: str, name: str, result: Any) -> None:
    """One result, at once."""
    print(json.dumps([kind, name, result]), flush=True)


def resident() -> int:
    """Bytes that this process held at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def sample(task: str) -> list[str]:
    """Some texts of a prepared task; none of one that is not."""
    path = records.inputs(task, "test")
    if not path.exists():
        return []
    texts = [shown(row) for row in pq.read_table(path).drop_columns(["id", "group"]).to_pylist()]
    return texts[:: -(-len(texts) // SAMPLE)]


def drawn(name: str, params: Params) -> tuple[float, list[str]]:
    """Seconds to draw a task's examples, and some texts, by drawing the first few."""
    task, where, start = params.tasks[name], f"params.yaml: tasks.{name}", time.perf_counter()
    family = tasks.family(task.family, f"{where}.family")
    corpus = params.corpora[task.corpus] if task.corpus else None
    stream = iter(family.examples(params.split, corpus, where, **options_of(family.examples, task, where)))
    texts = [shown(example.inputs) for example in itertools.islice(stream, 1)]  # before it comes what is done once
    first = time.perf_counter()
    texts += [shown(example.inputs) for example in itertools.islice(stream, SAMPLE)]
    each = (time.perf_counter() - first) / max(1, len(texts))
    return first - start + each * sum(getattr(params.split, part) for part in records.PARTS), texts


def shown(inputs: dict[str, str]) -> str:
    """All that a model is shown of an example."""
    return "\n".join(inputs.values())


if __name__ == "__main__":
    run(main)
