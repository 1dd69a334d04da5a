"""Control: what the strong model answers without finetuning, and what its architecture learns without pretraining."""

import sys

from accelerate.utils.memory import clear_device_cache

from w2s.core import files, ranks
from w2s.core.checks import load
from w2s.core.determinism import generator
from w2s.core.stage import run
from w2s.models.checkpoints import MissingHeadError
from w2s.settings import setting_for
from w2s.training.finetune import finetune
from w2s.training.job import Job
from w2s.training.state import resumable


def main(task: str, strong: str, seed: int) -> None:
    params = load()
    setting = setting_for(params, task, strong, files.bases(seed))
    ranks.share(setting.hparams.processes)
    test = files.read(files.inputs(task, seed, "test"), setting.INPUTS)
    cell = ("control", task, strong, seed)
    truth = files.truth(task, seed, "student")
    code = files.code("control", f"finetune/{strong}", f"settings/{params.tasks[task].setting}")
    reads = [setting.base, files.inputs_folder(task, seed), truth, *code]
    with resumable(*cell, reads=reads) as checkpoints, files.atomic(files.run(*cell)) as out:
        try:
            answers = {"id": test["id"], files.answer_column(setting.LABELS): setting.zero_shot(test)}
            files.write(out / "zero_shot.parquet", setting.LABELS, answers)
        except MissingHeadError as error:
            print(f"no zero-shot control: {error}", file=sys.stderr)
        frozen = setting.HEAD.load_base(setting.base, setting.with_hparams(tune="head").hparams, generator())
        setting.write_features(frozen, test["id"].to_pylist(), setting.encode(test), out)
        del frozen
        # A random body that learns little of itself is no training from scratch.
        if setting.hparams.tune == "full":
            clear_device_cache(garbage_collection=True)
            job = Job(
                setting=setting,
                examples=setting.read(files.inputs(task, seed, "student"), truth),
                test=test,
                rng_key=("student", task, seed),
                out=out / "scratch",
                name=f"scratch {strong}",
                checkpoints=checkpoints,
            )
            finetune(job, setting.HEAD.from_scratch(setting.base, setting.hparams, seed))


if __name__ == "__main__":
    run(main)
