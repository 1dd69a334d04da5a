"""Pretrains an embedded base model on its corpus, next token by next token.

The loop is one of its own, and imports next to nothing: ladders are committed, and a change of how models are finetuned
must not ask for hours of pretraining.
"""

import math
import sys
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from w2s.core.determinism import generator, prepare_torch
from w2s.core.params import Corpus, Embedded
from w2s.data.corpora import language
from w2s.pretraining import ladder

# Documents an update: small batches and more updates leave the first plateau of the loss sooner.
BATCH = 32
# Batches sorted by length together, which saves padding.
POOL = 32
BETAS = (0.9, 0.98)
WEIGHT_DECAY = 0.01
LARGEST_GRADIENT_NORM = 1.0


def pretrain(
    entry: Embedded, corpus: Corpus, name: str, seed: int
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, list[float]]:
    """The base model `name` of a replicate's ladder in bf16, its tokenizer, and its loss at every update.

    `seed` draws the language, the initial weights and the order of documents. On one thread whatever the machine:
    faster at this size, and the bits do not depend on the number of cores.
    """
    prepare_torch(threads=1)
    written = language(corpus.family, f"corpora.{entry.corpus}.family")
    tokenizer = ladder.tokenizer(written.vocabulary(corpus, seed))
    config = ladder.architecture(entry.architecture, len(tokenizer), entry.hidden, entry.layers)
    model = ladder.initialized(config, generator("init", name, seed))
    documents = tokenizer(list(written.documents(corpus, seed)), return_attention_mask=False)["input_ids"]
    matrices = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    others = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=BETAS, fused=True)
    drawn = batches(documents, generator("order", name, seed))
    losses = []
    for step in tqdm(
        range(entry.steps), desc=f"pretrain {name} {seed}", unit="update", mininterval=1.0, file=sys.stderr
    ):
        for group in optimizer.param_groups:
            group["lr"] = rate(entry, step)
        loss = next_token_loss(model, next(drawn))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), LARGEST_GRADIENT_NORM)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return model.bfloat16(), tokenizer, losses


def rate(entry: Embedded, step: int) -> float:
    """The learning rate of update `step` (from 0): a linear warm-up, then a cosine to zero."""
    rising = entry.warmup * entry.steps
    if step < rising:
        return entry.learning_rate * (step + 1) / (rising + 1)
    return entry.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1.0, entry.steps - rising)))


def batches(documents: list[list[int]], rng: torch.Generator) -> Iterator[list[list[int]]]:
    """Endless batches of documents of similar lengths, each document once an epoch."""
    while True:
        order = torch.randperm(len(documents), generator=rng).tolist()
        epoch = []
        for start in range(0, len(order), POOL * BATCH):
            pool = sorted(order[start : start + POOL * BATCH], key=lambda index: len(documents[index]))
            epoch += [pool[first : first + BATCH] for first in range(0, len(pool), BATCH)]
        for position in torch.randperm(len(epoch), generator=rng).tolist():
            yield [documents[index] for index in epoch[position]]


def next_token_loss(model: PreTrainedModel, documents: list[list[int]]) -> Tensor:
    """Mean cross-entropy of each token of a batch given those before it."""
    longest = max(map(len, documents))
    ids = torch.tensor([[*document, *[ladder.PAD_ID] * (longest - len(document))] for document in documents])
    mask = ids != ladder.PAD_ID
    logits = model(input_ids=ids, attention_mask=mask.long(), use_cache=False).logits[:, :-1]
    return cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), ignore_index=ladder.PAD_ID)
