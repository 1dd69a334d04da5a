"""Make a base model: pretrain an embedded rung, or pin a hub model to its exact commit."""

from w2s import records
from w2s.models.checkpoints import pin
from w2s.params import Embedded, load
from w2s.pretraining.pretrain import pretrain
from w2s.stage import run


def main(model: str) -> None:
    params = load()
    entry = params.models[model]
    with records.atomic(records.BASES / model) as folder:
        if isinstance(entry, Embedded):
            pretrain(entry, params.corpora[entry.corpus], model, folder)
        else:
            pin(entry, f"params.yaml: models.{model}", folder)
        records.write_json(folder / "entry.json", entry.model_dump())  # whoever goes by this folder goes by it too


if __name__ == "__main__":
    run(main)
