"""Pretrains an embedded rung on its corpus, next token by next token."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from w2s.corpora import language
from w2s.models import embedded
from w2s.models.batches import padded
from w2s.params import Corpus, Embedded
from w2s.training.batching import epoch
from w2s.determinism import generator
from w2s.training.loop import Backward, Meter, Recipe, Update, train

BATCH = 32  # documents an update; small batches and more updates leave the first plateau sooner
IGNORED = -100


def pretrain(rung: Embedded, corpus: Corpus, name: str, folder: Path) -> None:
    """Write the pretrained rung to `folder`: a checkpoint, its tokenizer and DVCLive curves.

    On one thread whatever the machine: faster at this size, and a rung's bits do not depend on the number of cores.
    """
    written = language(corpus.family, f"corpora.{rung.corpus}.family")
    tokenizer = embedded.tokenizer(written.vocabulary(corpus))
    config = embedded.architecture(rung.architecture, len(tokenizer), rung.hidden, rung.layers)
    model = embedded.initialized(config, generator("init", name, rung.seed))
    documents = tokenizer(list(written.documents(corpus)), return_attention_mask=False)["input_ids"]
    recipe = Recipe(rung.steps, rung.learning_rate, rung.warmup, weight_decay=0.01, clip=1.0, betas=(0.9, 0.98))
    updates = _updates(documents, generator("order", name, rung.seed))
    train(model, updates, recipe, folder / "live", f"pretrain {name}", log_every=20)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _updates(documents: list[list[int]], rng: torch.Generator) -> Iterator[Update]:
    lengths = [len(document) for document in documents]
    while True:
        for batch in epoch(lengths, BATCH, rng):
            yield partial(_next_token, [documents[index] for index in batch])


def _next_token(documents: list[list[int]], model: nn.Module, progress: float, backward: Backward) -> Meter:
    """Mean cross-entropy over the real tokens after the first."""
    ids, mask = padded(documents, 0, next(model.parameters()).device)
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
    targets = ids[:, 1:].masked_fill(mask[:, 1:] == 0, IGNORED)
    loss = cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
    backward(loss)
    return {"loss": loss.item()}
