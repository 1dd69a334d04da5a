"""Student: finetune the strong model on the weak labels of its half, by one method."""

from w2s.core import files, ranks
from w2s.core.checks import load
from w2s.core.stage import run
from w2s.methods import parts_of, train
from w2s.settings import setting_for
from w2s.training.job import Job
from w2s.training.state import resumable


def main(task: str, weak: str, strong: str, method: str, seed: int) -> None:
    params = load()
    setting = setting_for(params, task, strong, files.bases(seed), method)
    ranks.share(setting.hparams.processes)
    labels = files.weak_labels(task, weak, seed)
    cell = ("student", task, weak, strong, method, seed)
    of_method = files.method(params.tasks[task].setting, method, seed)
    code = files.code("student", f"finetune/{strong}")
    reads = [setting.base, of_method, files.inputs_folder(task, seed), labels, *code]
    with resumable(*cell, reads=reads) as checkpoints, files.outputs(*cell) as (out, weights):
        job = Job(
            setting=setting,
            examples=setting.read(files.inputs(task, seed, "student"), labels / "student.parquet", weak=True),
            validation=setting.read(files.inputs(task, seed, "validation"), labels / "validation.parquet", weak=True),
            test=files.read(files.inputs(task, seed, "test"), setting.INPUTS),
            texts=files.texts(task, seed),
            weak=weak,
            other_bases=of_method,
            rng_key=("student", task, seed),
            out=out,
            weights=weights,
            checkpoints=checkpoints,
            name=f"student {weak}→{strong} {method}",
        )
        train(job, parts_of(params.methods[method]))


if __name__ == "__main__":
    run(main)
