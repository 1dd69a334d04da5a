"""What is measured of a machine: seconds, bytes, tokens and FLOPs, each by what it is of."""

from collections.abc import Mapping
from dataclasses import dataclass

from w2s.core.params import Finetune


@dataclass(frozen=True)
class Place:
    """A model as it is finetuned on a task."""

    task: str
    model: str
    hparams: Finetune  # `Pass.speed_hparams`


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What every stage takes, whatever it computes."""

    light: float  # seconds to start a stage without torch
    heavy: float  # seconds to start and end a stage with torch
    memory: float  # bytes of a process with torch


@dataclass(frozen=True, kw_only=True)
class PretrainingSpeed:
    """What an embedded model takes to pretrain."""

    parameters: int
    start: float  # seconds
    document: float  # seconds to write and tokenise a document of the corpus
    update: float  # seconds
    tokens: float  # of an update
    memory: float  # bytes of a document


@dataclass(frozen=True, kw_only=True)
class FinetuningSpeed:
    """What a model takes to finetune on a task's labels, and to predict."""

    parameters: int
    start: float = 0.0  # seconds
    encode: float = 0.0  # seconds to tokenise an example
    update: float = 0.0  # seconds
    predict: float = 0.0  # seconds an example
    tokens: float  # of an example
    flops: float  # for each weight and token learned from
    memory: float  # bytes
    notes: list[tuple[str, str]]  # a model or task, and what is assumed of it or stands against it


@dataclass(frozen=True, kw_only=True)
class TextSpeed:
    """What a model takes to finetune on texts without labels."""

    start: float = 0.0  # seconds
    update: float  # seconds
    tokens: float  # of an update


@dataclass(frozen=True, kw_only=True)
class Measures:
    """All that is measured of a machine, as the mean of processes side by side."""

    machine: Machine
    evaluate: dict[str, float]  # seconds to measure a model's predictions under one seed, by setting
    prepare: dict[str, float]  # seconds to draw a task; what would be fetched is left out
    pretrain: dict[str, PretrainingSpeed]  # by model
    finetune: Mapping[Place, FinetuningSpeed]
    texts: Mapping[Place, TextSpeed]
