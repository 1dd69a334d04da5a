"""Student: finetune the strong model on the weak labels of its half, by one method."""

from w2s.core import files
from w2s.core.checks import load
from w2s.core.stage import run
from w2s.methods import parts_of, train
from w2s.settings import setting_for
from w2s.training.job import Job


def main(task: str, weak: str, strong: str, method: str, seed: int) -> None:
    params = load()
    setting = setting_for(params, task, strong, files.bases(seed), method)
    labels = files.weak_labels(task, weak, seed)
    with files.outputs("student", task, weak, strong, method, seed) as (out, weights):
        job = Job(
            setting=setting,
            examples=setting.read(files.inputs(task, seed, "student"), labels / "student.parquet", weak=True),
            validation=setting.read(files.inputs(task, seed, "validation"), labels / "validation.parquet", weak=True),
            test=files.read(files.inputs(task, seed, "test"), setting.INPUTS),
            texts=files.texts(task, seed),
            weak=weak,
            other_bases=files.method(params.tasks[task].setting, method, seed),
            rng_key=("student", task, seed),
            out=out,
            weights=weights,
            name=f"student {weak}→{strong} {method}",
        )
        train(job, parts_of(params.methods[method]))


if __name__ == "__main__":
    run(main)
