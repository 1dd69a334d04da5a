"""What every setting does: encode a task's examples for one base model, and turn the model's outputs into answers."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from w2s.core import files
from w2s.core.determinism import prepare_torch
from w2s.core.errors import UserError
from w2s.core.hparams import hparams_for
from w2s.core.params import Finetune, Params
from w2s.core.stopwatch import compute
from w2s.models import collective, hardware
from w2s.models.batches import longest_first
from w2s.models.checkpoints import load_tokenizer, max_context, padding, skeleton
from w2s.models.heads import Head

KINDS = {"p": "probabilities", "answer": "answers in words"}
PROBED = 1000  # test examples whose features are kept
Item = Any  # an encoded example: what `encode` makes of one; only its own setting looks inside
LossFunction = Callable[[Tensor, Tensor, float], Tensor]  # outputs, targets, progress in [0, 1) → mean loss


@dataclass(frozen=True)
class Examples:
    """Inputs and their labels [N] in the same order: P(true) or answers in words."""

    inputs: pa.Table
    labels: np.ndarray
    weak: bool = False  # the labels are a model's answers, which may be soft, or too long


class Setting(ABC):
    """One task as one base model reads it."""

    INPUTS: ClassVar[pa.Schema]
    LABELS: ClassVar[pa.Schema]
    HEAD: ClassVar[type[Head]]
    PROBABILITIES: ClassVar[bool]  # whether labels and answers are P(true)

    def __init__(self, params: Params, task: str, model: str, method: str | None, bases: Path) -> None:
        """Makes this process deterministic, too. `bases` is the folder with the base models."""
        self.params = params
        self.task_name = task
        self.task = params.tasks[task]
        self.model = model
        self.method = method
        self.base = bases / model
        self.hparams = hparams_for(params, task, model, params.methods[method] if method else None)
        prepare_torch(self.hparams.threads)
        self.tokenizer = load_tokenizer(self.base)
        # Opened once: for a hub model this asks the hub's cache.
        body = skeleton(self.base)
        self.model_context = max_context(body)
        self.pad = padding(self.tokenizer, body.config)

    @classmethod  # noqa: B027
    def check(cls, hparams: Finetune) -> None:
        """Raise `UserError` for hyperparameters that have no meaning here."""

    @property
    def max_context(self) -> int:
        """The most tokens of a text that are read."""
        return int(min(self.hparams.context, self.model_context, self.tokenizer.model_max_length))

    def with_hparams(self, **hparams: object) -> Self:
        """The same setting with other hyperparameters."""
        other = copy.copy(self)
        other.hparams = self.hparams.model_copy(update=hparams)
        return other

    def for_model(self, model: str, bases: Path) -> Self:
        """The same task and method for another base model."""
        return type(self)(self.params, self.task_name, model, self.method, bases)

    def read(self, inputs: Path, labels: Path, weak: bool = False) -> Examples:
        """Inputs with their labels, true or weak, joined by id."""
        table = files.read(inputs, self.INPUTS)
        found = files.read_labels(labels)
        if files.answer_column(found) != files.answer_column(self.LABELS):
            raise UserError(
                f"{labels}: holds {KINDS[files.answer_column(found)]}, which {self.task_name} does not ask for"
            )
        return Examples(table, files.aligned(found, table["id"], labels), weak)

    def label(self, model: Any, inputs: pa.Table, out: Path) -> np.ndarray:
        """The model's answers [N] to these inputs, also written to `out`."""
        answers = self.predict(model, self.encode(inputs))
        files.write(out, self.LABELS, {"id": inputs["id"], files.answer_column(self.LABELS): answers})
        return answers

    def predict(self, model: Any, items: Sequence[Item]) -> np.ndarray:
        """The model's answers [N], of the type of `LABELS`."""
        return self.as_answers(self.map_batches(self.answer_batch, model, items))

    def as_answers(self, answers: list[Any]) -> np.ndarray:
        """Answers [N], of the type of `LABELS`."""
        return np.array(answers, self.LABELS.field(files.answer_column(self.LABELS)).type.to_pandas_dtype())

    @compute
    def map_batches(self, function: Callable[..., np.ndarray], model: Any, items: Sequence[Item]) -> list[Any]:
        """`function(model, batch)` for every item, in the passes that the model's budget makes."""
        model.eval()
        lengths = [self.length(item) for item in items]
        own = collective.dealt(longest_first(lengths))
        results: dict[int, Any] = {}

        def attempt() -> None:
            for batch in model.budget.passes(lengths, own):
                with torch.no_grad(), self.autocast():
                    found = function(model, [items[index] for index in batch])
                results.update(zip(batch, found, strict=True))

        model.budget.retry_on_oom(attempt)
        results = collective.merged(results)
        return [results[index] for index in range(len(items))]

    def features(self, model: Any, items: Sequence[Item]) -> np.ndarray | None:
        """What a linear probe reads of each example, fp32 [N, hidden]; None where answers are not yes or no."""
        return None

    def write_features(self, model: Any, ids: Sequence[str], items: Sequence[Item], out: Path) -> None:
        """Write features.parquet: those of the first examples, to be probed later."""
        features = self.features(model, items[:PROBED])
        if features is not None:
            schema = pa.schema([("id", pa.string()), ("features", pa.list_(pa.float32(), features.shape[1]))])
            columns = {"id": ids[:PROBED], "features": list(features.astype(np.float32))}
            files.write(out / "features.parquet", schema, columns)

    def autocast(self) -> torch.autocast:
        """The precision that models compute in."""
        return torch.autocast(hardware.device().type, torch.bfloat16, enabled=hardware.bf16(self.hparams))

    @abstractmethod
    def encode(self, inputs: pa.Table) -> list[Item]:
        """Token ids of each example, cut to the context."""

    @abstractmethod
    def length(self, item: Item) -> int:
        """The tokens of a forward pass that an item takes."""

    @abstractmethod
    def training_targets(self, examples: Examples) -> tuple[Sequence[Item], Tensor]:
        """What training reads: encoded examples, and the loss's targets, fp32 [N]."""

    @abstractmethod
    def outputs(self, model: Any, items: Sequence[Item]) -> Tensor:
        """What the loss takes of a batch, fp32 [batch, …], in one forward pass with its gradient."""

    @abstractmethod
    def default_loss(self, outputs: Tensor, targets: Tensor, progress: float) -> Tensor:
        """The mean cross-entropy of a batch."""

    @abstractmethod
    def is_correct(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Whether the model's answers are the labels that it learns, bool [batch]."""

    @abstractmethod
    def answer_batch(self, model: Any, items: Sequence[Item]) -> np.ndarray:
        """The model's answers [batch]."""

    @abstractmethod
    def agree(self, some: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Whether two answers are the same, bool [N]."""

    @abstractmethod
    def distance(self, answers: np.ndarray, labels: np.ndarray) -> float:
        """How far answers are from labels: the smaller, the better the snapshot (early stopping)."""

    @abstractmethod
    def balanced_order(self, order: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """The indices of `order` [N] rearranged so that the first few have labels of every kind."""

    @abstractmethod
    def format_shots(self, inputs: pa.Table, labels: np.ndarray) -> list[str]:
        """Texts that show how examples are answered, for a prompt."""

    @abstractmethod
    def zero_shot(self, inputs: pa.Table, lead: str = "") -> np.ndarray:
        """Answers [N] of the base model without finetuning, after the text `lead`.

        Raises `MissingHeadError` if the model has no language modelling head.
        """
