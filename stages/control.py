"""Control: the strong model without finetuning, or on the supervisor's own truth, and it without pretraining."""

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
    # What controls learn is measured at the end only.
    trained = setting.with_hparams(snapshots=1)
    test = files.read(files.inputs(task, seed, "test"), setting.INPUTS)
    cell = ("control", task, strong, seed)
    truth = {half: files.truth(task, seed, half) for half in ("supervisor", "student")}
    code = files.code("control", f"finetune/{strong}", f"settings/{params.tasks[task].setting}")
    reads = [setting.base, files.inputs_folder(task, seed), *truth.values(), *code]
    with resumable(*cell, reads=reads) as checkpoints, files.atomic(files.run(*cell)) as out:
        try:
            answers = {"id": test["id"], files.answer_column(setting.LABELS): setting.zero_shot(test)}
            files.write(out / "zero_shot.parquet", setting.LABELS, answers)
        except MissingHeadError as error:
            print(f"no zero-shot control: {error}", file=sys.stderr)
        frozen = setting.HEAD.load_base(setting.base, setting.with_hparams(tune="head").hparams, generator())
        setting.write_features(frozen, test["id"].to_pylist(), setting.encode(test), out)
        del frozen

        def job(role: str, half: str) -> Job:
            """Training on a half's truth."""
            clear_device_cache(garbage_collection=True)
            return Job(
                setting=trained,
                examples=setting.read(files.inputs(task, seed, half), truth[half]),
                test=test,
                rng_key=(half, task, seed),
                out=out / role,
                name=f"{role} {strong}",
                checkpoints=checkpoints,
            )

        finetune(job("supervisor_truth", "supervisor"))
        # A random body that learns little of itself is no training from scratch.
        if setting.hparams.tune == "full":
            finetune(job("scratch", "student"), setting.HEAD.from_scratch(setting.base, setting.hparams, seed))


if __name__ == "__main__":
    run(main)
