"""Control: what the strong model answers without finetuning, and what its architecture learns without pretraining."""

import sys
from pathlib import Path

from accelerate.utils.memory import clear_device_cache

from w2s.core import files
from w2s.core.checks import load
from w2s.core.determinism import generator
from w2s.core.stage import run
from w2s.models.checkpoints import MissingHeadError
from w2s.settings import reader as reader_of
from w2s.training.finetune import finetune


def main(task: str, strong: str) -> None:
    params = load()
    reader, test = reader_of(params, task, strong), files.inputs(task, "test")
    examples = reader.examples(files.inputs(task, "student"), files.truth(task, "student"))
    with files.atomic(Path("models/control", task, strong)) as out:
        inputs = files.read(test, reader.INPUTS)
        try:
            answers = {"id": inputs["id"], reader.LABELS[1].name: reader.untaught(inputs)}
            files.write(out / "zero_shot.parquet", reader.LABELS, answers)
        except MissingHeadError as error:
            print(f"no zero-shot control: {error}", file=sys.stderr)
        frozen = reader.HEAD.load_base(reader.base, reader.tuned_by({"tune": "head"}).settings, generator())
        reader.keep_features(frozen, inputs["id"].to_pylist(), reader.encode(inputs), out)
        del frozen
        if reader.settings.tune != "full":  # little of a random body would learn: that is no training from scratch
            return
        for seed in params.grid.seeds:
            model, order = reader.HEAD.from_scratch(reader.base, reader.settings, seed), ("student", task, seed)
            finetune(model, reader, examples, order, test, out / "scratch" / str(seed), f"scratch {strong}", "none")
            del model
            clear_device_cache(garbage_collection=True)


if __name__ == "__main__":
    run(main)
