"""Pretrains an embedded base model on its corpus, next token by next token."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from torch import nn

from w2s.core.determinism import generator
from w2s.core.params import Corpus, Embedded
from w2s.data.corpora import language
from w2s.pretraining import ladder
from w2s.training.batching import epoch
from w2s.training.loop import Metrics, Schedule, Update, train
from w2s.training.next_token import next_token

# Documents an update: small batches and more updates leave the first plateau of the loss sooner.
BATCH = 32


def pretrain(entry: Embedded, corpus: Corpus, name: str, folder: Path) -> None:
    """Write the base model `name` to `folder`: a checkpoint, its tokenizer and DVCLive curves.

    On one thread whatever the machine: faster at this size, and the bits do not depend on the number of cores.
    """
    written = language(corpus.family, f"corpora.{entry.corpus}.family")
    tokenizer = ladder.tokenizer(written.vocabulary(corpus))
    config = ladder.architecture(entry.architecture, len(tokenizer), entry.hidden, entry.layers)
    model = ladder.initialized(config, generator("init", name, entry.seed))
    documents = tokenizer(list(written.documents(corpus)), return_attention_mask=False)["input_ids"]
    schedule = Schedule(
        steps=entry.steps,
        learning_rate=entry.learning_rate,
        warmup=entry.warmup,
        weight_decay=0.01,
        clip=1.0,
        betas=(0.9, 0.98),
    )
    updates = _updates(model, documents, generator("order", name, entry.seed))
    train(model, updates, schedule, live=folder / "live", name=f"pretrain {name}", log_every=20)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _updates(model: nn.Module, documents: list[list[int]], rng: torch.Generator) -> Iterator[Update]:
    lengths = [len(document) for document in documents]
    while True:
        for batch in epoch(lengths, BATCH, rng):
            yield partial(_update, model, [documents[index] for index in batch])


def _update(model: nn.Module, documents: list[list[int]], progress: float) -> Metrics:
    loss = next_token(model, documents, pad=0)
    loss.backward()
    return {"loss": loss.item()}
