"""Trains one model by the parts of a method's recipe: what students and ceilings have in common."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from accelerate.utils.memory import clear_device_cache

from w2s.core.determinism import generator, numpy_generator
from w2s.core.params import Keep, Method
from w2s.methods.clean import cleaned
from w2s.methods.generative import start
from w2s.models.heads import Head
from w2s.settings import Labelled, Loss, Reader
from w2s.training.finetune import finetune


def teach(
    reader: Reader,
    method: Method,
    examples: Labelled,
    seed: tuple[object, ...],
    texts: Path,
    test: Path,
    out: Path,
    name: str,
    keep: Keep,
    loss: Loss | None = None,
    watched: Labelled | None = None,
) -> Head:
    """Make and return a model that has learnt `examples`; writes to `out` what `finetune` does.

    `texts` is the file of the task's unlabelled ones; the other arguments are those of `finetune`.
    """
    rng = generator("adapters", *seed[1:])
    with start(reader, method, texts, seed, out, name) as first:
        if method.clean:
            frozen = reader.HEAD.load_base(first, reader.tuned_by({"tune": "head"}).settings, rng, reader.base)
            features = reader.features(frozen, examples.items)
            assert features is not None  # a reader without any refuses to clean
            labels, kept = cleaned(features, examples.labels, method.clean, numpy_generator("clean", *seed))
            del frozen
            examples = Labelled([examples.items[index] for index in kept], labels, examples.weak)
        if method.labels == "hard":
            examples = replace(examples, labels=np.round(examples.labels))
        if method.probe:
            prober = reader.tuned_by(method.probe.model_dump() | {"tune": "head"})
            probe = reader.HEAD.load_base(first, prober.settings, rng, reader.base)
            finetune(probe, prober, examples, ("probe", *seed), test, out / "probe", f"{name}: probe", "none", loss)
            head = probe.head.state_dict()
            del probe
        clear_device_cache(garbage_collection=True)  # one model at a time
        model = reader.HEAD.load_base(first, reader.settings, rng, reader.base)
        if method.probe:
            model.head.load_state_dict(head)
    finetune(model, reader, examples, seed, test, out, name, keep, loss, watched, bool(method.stop))
    return model
