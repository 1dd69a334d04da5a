"""Methods of params.yaml that are recipes of parts and hyperparameters alone do what their source says."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from transformers import AutoModel, AutoTokenizer

from tests.conftest import WORDS
from tests.methods.test_extending import job_of
from w2s.core import files
from w2s.core.checks import load
from w2s.core.params import Finetune
from w2s.methods import as_ceiling, describe, parts_of, train
from w2s.settings.base import Examples

PARAMS = load(Path(__file__).parents[2] / "params.yaml")


def cosine(step: int, steps: int) -> float:
    return 0.5 * (1 + np.cos(np.pi * step / steps))


def test_linear_probes_as_the_papers_appendix_has_them(tmp_path: Path, embedded_folder: Path) -> None:
    """Written out by the library alone: Adam on frozen features; the best of 40 snapshots by held-out weak labels."""
    method = PARAMS.methods["linear-long"]
    assert {"epochs": 200, "learning_rate": 1e-3, "batch_size": 128, "weight_decay": 0.0}.items() <= (
        method.finetune.items()
    )
    assert as_ceiling(method).parts == {}
    assert describe(method).startswith("stays with the snapshot that comes nearest to held-out weak labels")
    hparams = {key: value for key, value in method.finetune.items() if key in Finetune.model_fields}
    job = job_of(embedded_folder, tmp_path / "probe", **hparams)
    rng = np.random.default_rng(1)
    ids = [f"held out {index}" for index in range(6)]
    inputs = pa.table({"id": ids, "text": [" ".join(rng.choice(WORDS, 4)) for _ in ids], "group": ids})
    # No snapshot comes near all of them: the best is neither the first nor the last.
    held_out = rng.random(6)
    job = replace(job, validation=Examples(inputs.cast(job.setting.INPUTS), held_out, weak=True))
    train(job, parts_of(method))

    tokenizer = AutoTokenizer.from_pretrained(embedded_folder)
    body = AutoModel.from_pretrained(embedded_folder)

    def features(table: pa.Table) -> torch.Tensor:
        with torch.no_grad():
            texts = table["text"].to_pylist()
            return torch.stack(
                [body(torch.tensor([tokenizer(text)["input_ids"]])).last_hidden_state[0, -1] for text in texts]
            )

    learned, watched, tested = features(job.examples.inputs), features(inputs), features(job.test)
    head = nn.Linear(learned.shape[1], 1)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-3)
    targets = torch.tensor(job.examples.labels).float()
    snapshots = []
    for step in range(200):
        optimizer.param_groups[0]["lr"] = 1e-3 * cosine(step, 200)
        optimizer.zero_grad()
        binary_cross_entropy_with_logits(head(learned).squeeze(-1), targets).backward()
        nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % 5 == 0:
            with torch.no_grad():
                far = binary_cross_entropy_with_logits(head(watched).squeeze(-1), torch.tensor(held_out).float())
                snapshots.append((far.item(), head(tested).sigmoid().squeeze(-1).numpy()))
    best = min(range(40), key=lambda index: snapshots[index][0])
    found = files.read_predictions(tmp_path / "probe/predictions.parquet")
    np.testing.assert_allclose(found["p"].to_numpy().reshape(40, -1)[-1], snapshots[best][1], rtol=1e-4)
    assert 0 < best < 39
    assert found["step"].to_pylist()[-1] == 200
