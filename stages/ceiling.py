"""Ceiling: finetune the strong model on the student half's truth, to know what it could do."""

from w2s.core import files, ranks
from w2s.core.checks import load
from w2s.core.stage import run
from w2s.methods import as_ceiling, parts_of, train
from w2s.settings import setting_for
from w2s.training.job import Job
from w2s.training.state import resumable


def main(task: str, strong: str, method: str, seed: int) -> None:
    params = load()
    setting = setting_for(params, task, strong, files.bases(seed), method)
    ranks.share(setting.hparams.processes)
    cell = ("ceiling", task, strong, method, seed)
    truth = files.truth(task, seed, "student")
    kind = params.tasks[task].setting
    code = files.code("ceiling", f"finetune/{strong}", f"settings/{kind}", f"ceilings/{method}")
    reads = [setting.base, files.inputs_folder(task, seed), truth, *code]
    with resumable(*cell, reads=reads) as checkpoints, files.outputs(*cell) as (out, weights):
        job = Job(
            setting=setting,
            examples=setting.read(files.inputs(task, seed, "student"), truth),
            test=files.read(files.inputs(task, seed, "test"), setting.INPUTS),
            texts=files.texts(task, seed),
            rng_key=("student", task, seed),
            out=out,
            weights=weights,
            checkpoints=checkpoints,
            name=f"ceiling {strong} {method}",
        )
        train(job, parts_of(as_ceiling(params.methods[method])))


if __name__ == "__main__":
    run(main)
