"""Supervise: finetune a weak model on the supervisor half's truth, and keep it."""

from w2s.core import files, ranks
from w2s.core.checks import load
from w2s.core.params import Keep
from w2s.core.stage import run
from w2s.settings import setting_for
from w2s.training.finetune import finetune
from w2s.training.job import Job
from w2s.training.state import resumable


def main(task: str, weak: str, seed: int) -> None:
    params = load()
    setting = setting_for(params, task, weak, files.bases(seed))
    ranks.share(setting.hparams.processes)
    # Stage `label` needs the weights, whatever else is kept.
    keep: Keep = "full" if "full" in (setting.hparams.tune, setting.hparams.keep) else "adapter"
    cell = ("supervisor", task, weak, seed)
    truth = files.truth(task, seed, "supervisor")
    code = files.code("supervise", f"finetune/{weak}", f"settings/{params.tasks[task].setting}")
    reads = [setting.base, files.inputs_folder(task, seed), truth, *code]
    with resumable(*cell, reads=reads) as checkpoints, files.outputs(*cell) as (out, weights):
        job = Job(
            setting=setting.with_hparams(keep=keep),
            examples=setting.read(files.inputs(task, seed, "supervisor"), truth),
            test=files.read(files.inputs(task, seed, "test"), setting.INPUTS),
            rng_key=("supervisor", task, seed),
            out=out,
            weights=weights,
            checkpoints=checkpoints,
            name=f"supervise {weak}",
        )
        finetune(job)


if __name__ == "__main__":
    run(main)
