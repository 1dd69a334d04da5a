"""Supervise: finetune a weak model on the supervisor half's truth, and keep it."""

from w2s.core import files
from w2s.core.checks import load
from w2s.core.params import Keep
from w2s.core.stage import run
from w2s.settings import setting_for
from w2s.training.finetune import finetune
from w2s.training.job import Job


def main(task: str, weak: str, seed: int) -> None:
    setting = setting_for(load(), task, weak, files.bases(seed))
    # Stage `label` needs the weights, whatever else is kept.
    keep: Keep = "full" if "full" in (setting.hparams.tune, setting.hparams.keep) else "adapter"
    with files.outputs("supervisor", task, weak, seed) as (out, weights):
        job = Job(
            setting=setting.with_hparams(keep=keep),
            examples=setting.read(files.inputs(task, seed, "supervisor"), files.truth(task, seed, "supervisor")),
            test=files.read(files.inputs(task, seed, "test"), setting.INPUTS),
            rng_key=("supervisor", task, seed),
            out=out,
            weights=weights,
            name=f"supervise {weak}",
        )
        finetune(job)


if __name__ == "__main__":
    run(main)
