"""How a model reads a task and answers: one file a setting, found by its name.

A setting is a module here with one class, `Setting(Reader)`.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from transformers import AutoConfig

from w2s.core import files
from w2s.core.determinism import prepare_torch
from w2s.core.errors import UserError
from w2s.core.hparams import hparams_for
from w2s.core.params import Finetune, Method, Params
from w2s.core.registry import chosen
from w2s.models import hardware
from w2s.models.checkpoints import load_tokenizer, max_context, opened
from w2s.models.heads import Head

PROBED = 1000  # test examples whose features are kept
Item = Any  # an encoded example: what `encode` makes of one, and only its own setting looks into
Loss = Callable[[Tensor, Tensor, float], Tensor]  # scores, labels, progress in [0, 1)


@dataclass(frozen=True)
class Labelled:
    """Encoded examples with their labels [examples] in the same order."""

    items: Sequence[Item]
    labels: np.ndarray
    weak: bool = False  # said by a model, and so of any form


class Reader(ABC):
    """Reads a task's files for one model, and the model's answers from it."""

    INPUTS: ClassVar[pa.Schema]
    LABELS: ClassVar[pa.Schema]
    HEAD: ClassVar[type[Head]]
    LOSSES: ClassVar[Mapping[str, Loss] | None] = None  # those with a meaning here, if not all of training/losses

    def __init__(self, params: Params, task: str, model: str, method: str | None, bases: Path) -> None:
        """Makes this process deterministic, too; refuses a method that has no meaning here."""
        self.task, self.base, recipe = params.tasks[task], bases / model, params.methods[method] if method else None
        self.settings = hparams_for(params, task, model, recipe)
        if method and recipe:
            self.refuse(method, recipe, self.settings)
        prepare_torch(self.settings.threads)
        self.tokenizer = load_tokenizer(self.base)
        self.pad = self.tokenizer.pad_token_id or 0  # masked, so any id will do
        reads = max_context(opened(AutoConfig, self.base))
        self.context = int(min(self.settings.context, reads, self.tokenizer.model_max_length))
        self.half = hardware.bf16(self.settings)

    @classmethod
    def refuse(cls, name: str, method: Method, finetune: Finetune) -> None:
        """Raise `UserError` for a method, or a way to finetune, that has no meaning here."""
        for part in ("texts", "probe"):
            if getattr(method, part) is not None and finetune.tune != "full":
                raise UserError(f"params.yaml: methods.{name}.{part}: goes with tune: full, not with {finetune.tune}")

    def tuned_by(self, overrides: Mapping[str, Any]) -> Self:
        """The same reader with other ways to finetune."""
        other = copy.copy(self)
        other.settings = self.settings.model_copy(update=dict(overrides))
        return other

    def inputs(self, path: Path) -> tuple[pa.ChunkedArray, list[Item]]:
        """Ids and encoded examples of an inputs file."""
        table = files.read(path, self.INPUTS)
        return table["id"], self.encode(table)

    def examples(self, inputs: Path, labels: Path, weak: bool = False) -> Labelled:
        """Inputs with their labels, true or weak, joined by id."""
        ids, items = self.inputs(inputs)
        return Labelled(items, files.aligned(files.read_labels(labels), ids, labels), weak)

    def label(self, model: Any, inputs: Path, out: Path) -> None:
        """Write the model's answers to an inputs file."""
        ids, items = self.inputs(inputs)
        files.write(out, self.LABELS, {"id": ids, self.LABELS[1].name: self.predict(model, items)})

    def predict(self, model: Any, items: Sequence[Item]) -> np.ndarray:
        """The model's answers [examples], of the kind that `LABELS` holds."""
        return np.array(self.each(self.answers, model, items), self.LABELS[1].type.to_pandas_dtype())

    def each(self, ask: Callable[..., np.ndarray], model: Any, items: Sequence[Item]) -> list[Any]:
        """What `ask(model, batch)` finds of every item, in batches that the model's budget allows."""
        model.eval()
        found: list[Any] = [None] * len(items)

        def attempt() -> None:
            for batch in model.budget.micro_batches([self.tokens(item) for item in items]):
                with torch.no_grad(), self.autocast():
                    answers = ask(model, [items[index] for index in batch])
                for index, answer in zip(batch, answers, strict=True):
                    found[index] = answer

        model.budget.retry_on_oom(attempt)
        return found

    def features(self, model: Any, items: Sequence[Item]) -> np.ndarray | None:
        """What a probe reads of each example, fp32 [examples, hidden]; None where there is no yes or no to probe."""
        return None

    def keep_features(self, model: Any, ids: Sequence[str], items: Sequence[Item], out: Path) -> None:
        """Write the features of the first examples, to be probed later."""
        features = self.features(model, items[:PROBED])
        if features is not None:
            schema = pa.schema([("id", pa.string()), ("features", pa.list_(pa.float32(), features.shape[1]))])
            columns = {"id": ids[:PROBED], "features": list(features.astype(np.float32))}
            files.write(out / "features.parquet", schema, columns)

    def autocast(self) -> torch.autocast:
        """The precision that models compute in."""
        return torch.autocast(hardware.device().type, torch.bfloat16, enabled=self.half)

    @abstractmethod
    def encode(self, inputs: pa.Table) -> list[Item]:
        """Token ids of each example, cut to the context."""

    @abstractmethod
    def tokens(self, item: Item) -> int:
        """How many tokens of a forward pass it takes."""

    @abstractmethod
    def learnable(self, examples: Labelled) -> tuple[Sequence[Item], Tensor]:
        """What training reads: items, and labels as the loss takes them, fp32 [examples]."""

    @abstractmethod
    def scores(self, model: Any, items: Sequence[Item]) -> Tensor:
        """What the loss looks at, fp32 [examples, …], in one forward pass with its gradient."""

    @abstractmethod
    def right(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Whether the model says what the labels of `learnable` say, bool [examples]."""

    @abstractmethod
    def answers(self, model: Any, items: Sequence[Item]) -> np.ndarray:
        """The model's answers to one batch."""

    @abstractmethod
    def agree(self, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Whether two answers say the same, bool [examples]."""

    @abstractmethod
    def distance(self, answers: np.ndarray, labels: np.ndarray) -> float:
        """How far answers are from labels, as training counts it."""

    @abstractmethod
    def mixed(self, order: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Indices in an order in which the first few show answers of every kind."""

    @abstractmethod
    def shown(self, inputs: pa.Table, labels: np.ndarray) -> list[str]:
        """Texts that show how examples are answered, for a prompt."""

    @abstractmethod
    def untaught(self, inputs: pa.Table, lead: str = "") -> np.ndarray:
        """What the base model answers without finetuning, after the text `lead`.

        Raises `MissingHeadError` if it has no words.
        """


def setting(name: str, where: str) -> type[Reader]:
    """The class of a setting; `where` names the parameter that asked for it."""
    kind: type[Reader] = chosen("w2s.settings", name, where).Setting
    return kind


def reader(params: Params, task: str, model: str, method: str | None = None, bases: Path = files.BASES) -> Reader:
    """A task's reader for one base model, finetuned as a method says."""
    kind = setting(params.tasks[task].setting, f"params.yaml: tasks.{task}.setting")
    return kind(params, task, model, method, bases)
