"""Few-shot prompting: a base model answers after being shown a few labelled examples; nothing is trained."""

from pathlib import Path

import numpy as np
import torch

from w2s.core import files
from w2s.core.determinism import generator
from w2s.core.errors import UserError
from w2s.models.checkpoints import size
from w2s.settings import Reader


def prompt(
    reader: Reader, shots: int, inputs: Path, labels: Path, seed: tuple[object, ...], test: Path, out: Path
) -> None:
    """Write to `out` what the base model answers to test inputs, and run.json, as `finetune` does.

    All test inputs see the same `shots` examples, drawn by `seed`; where labels are probabilities, as many are thought
    true as false. A prompt too long for the context is cut at the front; `UserError` where the examples alone are.
    """
    shown, asked = files.read(inputs, reader.INPUTS), files.read(test, reader.INPUTS)
    given = files.aligned(files.read_labels(labels), shown["id"], labels)
    order = torch.randperm(len(given), generator=generator("shots", *seed)).numpy()
    drawn = np.sort(reader.mixed(order, given)[:shots])  # in the order of the file, which says nothing of answers
    lead = "".join(f"{text}\n\n" for text in reader.shown(shown.take(drawn), given[drawn]))
    if (tokens := len(reader.tokenizer(lead)["input_ids"])) >= reader.context:
        says = f"{shots} examples take {tokens} tokens, but {reader.base.name} reads {reader.context}; show fewer"
        raise UserError(f"params.yaml: shots: {says}")
    answers = reader.untaught(asked, lead)
    files.write_predictions(out, reader.LABELS, asked["id"], [(0, answers)])
    record = {"parameters": size(reader.base)["parameters"], "trainable": 0, "examples": len(drawn), "steps": 0}
    files.write_json(out / "run.json", record)
