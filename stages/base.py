"""Make a base model: pretrain an embedded rung into an ordinary Hugging Face checkpoint."""

from w2s import records
from w2s.params import load
from w2s.stage import run
from w2s.training.pretrain import pretrain


def main(model: str) -> None:
    params = load()
    rung = params.models[model]
    with records.atomic(records.BASES / model) as folder:
        pretrain(rung, params.corpora[rung.corpus], model, folder)


if __name__ == "__main__":
    run(main)
