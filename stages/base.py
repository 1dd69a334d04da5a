"""Make a base model: pretrain an embedded rung, or pin a hub model to its exact commit."""

from w2s.core import files
from w2s.core.checks import load
from w2s.core.params import Embedded
from w2s.core.stage import run
from w2s.models.checkpoints import pin
from w2s.pretraining.pretrain import pretrain


def main(model: str) -> None:
    params = load()
    entry = params.models[model]
    with files.atomic(files.BASES / model) as folder:
        if isinstance(entry, Embedded):
            pretrain(entry, params.corpora[entry.corpus], model, folder)
        else:
            pin(entry, f"params.yaml: models.{model}", folder)
        files.write_json(folder / "entry.json", entry.model_dump())  # whoever goes by this folder goes by it too


if __name__ == "__main__":
    run(main)
