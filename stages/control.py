"""Control: what the strong model answers without finetuning, and what its architecture learns without pretraining."""

import sys

from accelerate.utils.memory import clear_device_cache

from w2s.core import files
from w2s.core.checks import load
from w2s.core.determinism import generator
from w2s.core.stage import run
from w2s.models.checkpoints import MissingHeadError
from w2s.settings import setting_for
from w2s.training.finetune import finetune
from w2s.training.job import Job


def main(task: str, strong: str) -> None:
    params = load()
    setting = setting_for(params, task, strong)
    test = files.read(files.inputs(task, "test"), setting.INPUTS)
    examples = setting.read(files.inputs(task, "student"), files.truth(task, "student"))
    with files.atomic(files.run("control", task, strong)) as out:
        try:
            answers = {"id": test["id"], files.answer_column(setting.LABELS): setting.zero_shot(test)}
            files.write(out / "zero_shot.parquet", setting.LABELS, answers)
        except MissingHeadError as error:
            print(f"no zero-shot control: {error}", file=sys.stderr)
        frozen = setting.HEAD.load_base(setting.base, setting.with_hparams(tune="head").hparams, generator())
        setting.write_features(frozen, test["id"].to_pylist(), setting.encode(test), out)
        del frozen
        # A random body that learns little of itself is no training from scratch.
        for seed in params.grid.seeds if setting.hparams.tune == "full" else []:
            clear_device_cache(garbage_collection=True)
            model = setting.HEAD.from_scratch(setting.base, setting.hparams, seed)
            job = Job(
                setting=setting,
                examples=examples,
                test=test,
                rng_key=("student", task, seed),
                out=out / "scratch" / str(seed),
                name=f"scratch {strong}",
            )
            finetune(job, model)
            del model


if __name__ == "__main__":
    run(main)
