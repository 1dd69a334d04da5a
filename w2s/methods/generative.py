"""Finetunes a model as a language model, before it learns any labels."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from w2s.core import files
from w2s.core.determinism import generator
from w2s.core.params import Method
from w2s.models.heads import LanguageHead
from w2s.settings import Reader
from w2s.training.batching import epoch
from w2s.training.loop import Backward, Meter, Recipe, Update, train
from w2s.training.next_token import next_token


@contextmanager
def start(
    reader: Reader, method: Method, texts: Path, seed: tuple[object, ...], out: Path, name: str
) -> Iterator[Path]:
    """Where a method's model begins: its base, or for a while that base finetuned on texts (paper, section 5.2.2).

    Texts are learnt by the task's own recipe, but for epochs and rate; curves go to `out`/texts.
    """
    if method.texts is None:
        yield reader.base
        return
    settings = reader.settings.model_copy(update=method.texts.model_dump())
    model = LanguageHead.load_base(reader.base, settings, generator())
    found = files.read(texts, files.strings("id", "text"))["text"].to_pylist()
    reader.tokenizer.truncation_side = "right"  # a text is learnt from its beginning
    documents = reader.tokenizer(found, truncation=True, max_length=reader.context)["input_ids"]
    documents = [document for document in documents if len(document) > 1]
    updates = _updates(model, reader, documents, generator("texts", *seed))
    train(model, updates, Recipe.of(settings, len(documents)), out / "texts", f"{name}: texts")
    with TemporaryDirectory() as folder:
        model.save(Path(folder), whole=True)
        del model, updates
        yield Path(folder)


def _updates(model: LanguageHead, reader: Reader, documents: list[list[int]], rng: torch.Generator) -> Iterator[Update]:
    lengths = [len(document) for document in documents]

    def update(batch: list[int], backward: Backward) -> Meter:
        total, targets = 0.0, sum(lengths[index] - 1 for index in batch)
        for part in model.budget.micro_batches([lengths[index] for index in batch]):
            read = [documents[batch[place]] for place in part]
            with reader.autocast():
                loss = next_token(model.body, read, reader.pad)
            share = loss * sum(len(document) - 1 for document in read) / targets
            backward(share)
            total += share.item()
        return {"loss": total}

    def affordable(batch: list[int], _: nn.Module, progress: float, backward: Backward) -> Meter:
        return model.budget.retry_on_oom(partial(update, batch, backward), reset=model.zero_grad)

    while True:
        for batch in epoch(lengths, reader.settings.batch_size, rng):
            yield partial(affordable, batch)
