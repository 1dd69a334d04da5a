"""What this machine does in a second: short runs of the pipeline's own code on the pipeline's own shapes.

`python -m w2s.pipeline.cost.calibration` reads from stdin what to measure and prints one JSON line a result. It is a
process of its own, as a stage is, and as many run at once as will run stages, because they share cores and memory.
"""

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from w2s.core.checks import load
from w2s.core.params import Finetune
from w2s.core.stage import run
from w2s.pipeline.cost import samples
from w2s.pipeline.cost.work import Machine, resident


def main() -> None:
    """Measure what stdin asks for: tasks to prepare, models to pretrain, and models to tune on tasks or their texts."""
    asked = json.load(sys.stdin)
    light, params = time.time() - asked["born"], load()
    seen = {task: samples.prepared(task) for task, *_ in asked["finetune"]}
    for task in asked["prepare"]:
        if "repository" not in params.tasks[task].options:  # nothing is fetched
            seconds, seen[task] = samples.drawn(task, params)
            tell("prepare", task, seconds)
    start = time.perf_counter()
    from w2s.pipeline.cost import speed  # imports what a training stage does

    heavy = light + time.perf_counter() - start
    tell("machine", "", asdict(Machine(light, heavy, resident())))
    with TemporaryDirectory() as folder:
        bench = speed.Bench(params, Path(folder))
        for model in asked["base"]:
            tell("base", model, asdict(bench.pretrained(model)))
        for kind, measure in (("finetune", bench.tuned), ("texts", bench.read)):
            for index, (task, model, pace) in enumerate(asked[kind]):
                tell(kind, index, asdict(measure(task, model, Finetune(**pace), seen[task])))
    tell("end", "", time.time())


def tell(kind: str, name: str | int, result: Any) -> None:
    """One result, at once."""
    print(json.dumps([kind, name, result]), flush=True)


if __name__ == "__main__":
    run(main)
