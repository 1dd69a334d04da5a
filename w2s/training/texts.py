"""Finetunes a language model on texts without labels."""

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from w2s.core import files, ranks
from w2s.core.determinism import generator
from w2s.models import collective
from w2s.models.batches import encode, longest_first
from w2s.models.heads import LanguageHead
from w2s.settings.base import Setting
from w2s.training.batching import epochs
from w2s.training.loop import Metrics, Schedule, Update, train
from w2s.training.next_token import next_token
from w2s.training.state import Checkpoints


def learn_texts(
    setting: Setting,
    texts: Path,
    rng_key: tuple[object, ...],
    live: Path,
    name: str,
    checkpoints: Checkpoints | None = None,
) -> LanguageHead:
    """The setting's base model, finetuned on a file of texts by the setting's hyperparameters; curves go to `live`."""
    hparams = setting.hparams
    model = LanguageHead.load_base(setting.base, hparams, generator())
    table = files.read(texts, files.strings("id", "text"))
    # A text is learned from its beginning.
    encoded = encode(setting.tokenizer, table["text"].to_pylist(), setting.max_context, keep="start")
    documents = [document for document in encoded if len(document) > 1]
    updates = _updates(model, setting, documents, rng_key)
    checkpoint = checkpoints.of(live, model.remembers(), is_intermediate=True) if checkpoints else None
    train(model, updates, Schedule.of(hparams, len(documents)), live=live, name=name, checkpoint=checkpoint)
    return model


def _updates(
    model: LanguageHead, setting: Setting, documents: list[list[int]], rng_key: tuple[object, ...]
) -> Iterator[Update]:
    lengths = [len(document) for document in documents]
    for batch in epochs(lengths, setting.hparams.batch_size, *rng_key):
        yield partial(_update, model, setting, [documents[index] for index in batch])


def _update(model: LanguageHead, setting: Setting, documents: list[list[int]], progress: float) -> Metrics:
    """Add the gradient of the mean over all tokens of these documents, divided among processes and micro-batches."""
    lengths = [len(document) for document in documents]
    order = longest_first(lengths)
    # In a batch of fewer documents than processes, some read one that is not theirs and add nothing.
    own = collective.dealt(order) or order[:1]
    targets = sum(lengths) - len(documents) if collective.dealt(order) else math.inf

    def attempt() -> float:
        total = 0.0
        for micro_batch in model.budget.micro_batches(lengths, own):
            batch = [documents[index] for index in micro_batch]
            with setting.autocast():
                loss = next_token(model.body, batch, setting.pad)
            share = loss * sum(len(document) - 1 for document in batch) / targets
            share.backward()
            total += share.item()
        return total

    total = model.budget.retry_on_oom(attempt, reset=model.zero_grad)
    collective.add_up(parameter.grad for parameter in model.parameters() if parameter.grad is not None)
    return {"loss": sum(collective.merged({ranks.RANK: total}).values())}
