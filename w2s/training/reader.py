"""Reads a task's files for a model, and the model's answers from it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from w2s import records
from w2s.models.batches import by_length
from w2s.models.heads import load_tokenizer
from w2s.params import Task
from w2s.settings import setting


class Reader:
    """Turns a task's inputs into a model's token ids, and these into P(true), as the task's setting does it."""

    batch = 256  # texts per forward pass where no gradient is kept

    def __init__(self, task: Task, folder: Path) -> None:
        self.setting = setting(task.setting, "params.yaml: setting")
        self.tokenizer = load_tokenizer(folder)
        self.pad = self.tokenizer.pad_token_id or 0  # masked, so any id will do

    def inputs(self, path: Path) -> tuple[pa.ChunkedArray, list[list[int]]]:
        """Ids and encoded examples of an inputs file."""
        table = records.read(path, self.setting.INPUTS)
        return table["id"], self.setting.encode(self.tokenizer, table)

    @torch.inference_mode()
    def predict(self, model: nn.Module, items: list[list[int]]) -> np.ndarray:
        """P(true) [examples], float64."""
        model.eval()
        p = np.empty(len(items))
        for batch in by_length([len(item) for item in items], self.batch):
            logits = self.setting.logits(model, [items[index] for index in batch], self.pad)
            p[batch] = logits.double().sigmoid().numpy(force=True)
        return p


@dataclass(frozen=True)
class Labelled:
    """Encoded examples with their labels [examples] in the same order."""

    items: list[list[int]]
    labels: np.ndarray

    @classmethod
    def read(cls, reader: Reader, inputs: Path, labels: Path) -> "Labelled":
        """Join two files by id."""
        ids, items = reader.inputs(inputs)
        return cls(items, records.aligned(records.read_labels(labels), ids, labels))
