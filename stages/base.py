"""Make a base model of one replicate: pretrain an embedded rung, or pin a hub model to its exact commit.

Embedded rungs are committed to git, so this runs only where a rung, its language or the code of pretraining changed.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from w2s.core import files
from w2s.core.checks import load
from w2s.core.params import Embedded
from w2s.core.stage import run
from w2s.models import answers
from w2s.models.pin import pin
from w2s.pretraining.pretrain import pretrain

# Points of the loss curve that is kept.
POINTS = 100


def main(model: str, seed: int) -> None:
    params = load()
    entry = params.models[model]
    with files.atomic(files.bases(seed) / model) as folder:
        if isinstance(entry, Embedded):
            pretrained, tokenizer, losses = pretrain(entry, params.corpora[entry.corpus], model, seed)
            pretrained.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            write_curve(losses, folder)
        else:
            pin(entry, f"params.yaml: models.{model}", folder)
        answers.require_all(params, model, folder)


def write_curve(losses: list[float], folder: Path) -> None:
    """Write loss.parquet: the mean loss of each of `POINTS` spans of pretraining, and its last step."""
    spans = [span for span in np.array_split(np.arange(len(losses)), POINTS) if len(span)]
    schema = pa.schema([("step", pa.int32()), ("loss", pa.float32())])
    columns = {"step": [span[-1] + 1 for span in spans], "loss": [np.mean(np.array(losses)[span]) for span in spans]}
    files.write(folder / "loss.parquet", schema, columns)


if __name__ == "__main__":
    run(main)
