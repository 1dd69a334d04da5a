"""How fast an experiment's models train and predict on this machine: the part of a calibration that needs torch."""

import json
import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from itertools import cycle, islice
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from w2s.core import files
from w2s.core.determinism import generator, prepare_torch
from w2s.core.errors import UserError
from w2s.core.params import Embedded, Hub, Method, Params
from w2s.data.corpora import language
from w2s.models import hardware, memory
from w2s.models.checkpoints import PIN, load_tokenizer, size
from w2s.pipeline.cost.measures import FinetuningSpeed, Place, PretrainingSpeed, TextSpeed
from w2s.pipeline.cost.samples import Sample
from w2s.pretraining.pretrain import BATCH, pretrain
from w2s.settings import setting_class, setting_for
from w2s.settings.base import Examples, Setting
from w2s.training.finetune import finetune
from w2s.training.job import Job
from w2s.training.texts import learn_texts

# Pretraining that is timed.
DOCUMENTS = 4000
SEED = 0  # of the replicate that is timed
UPDATES = 60
# Finetuning that is timed, after a few updates to warm up.
SECONDS = 1.0
WARM = 5
# Assumptions: tokens of a text that is not there yet, and characters of a token (English, byte-pair vocabulary).
TOKENS = 128
CHARACTERS = 4
BLOCK = 12  # weights of a transformer block, in squares of its width (Kaplan et al., 2020, table 1)
ASPECT_RATIO = 64  # width over depth of a usual transformer: an assumption
WIDEST = {"cpu": 1024}  # a wider block runs at the same rate, and takes long


class TimedEnoughError(Exception):
    """Ends a training that has been timed long enough."""


class Bench:
    """Measures the models of `params`; what that leaves on disk lies in `folder`."""

    def __init__(self, params: Params, folder: Path) -> None:
        self.params = params
        self.folder = folder
        self.token_memory = 0.0  # bytes that a token of a corpus takes

    def pretrain(self, name: str) -> PretrainingSpeed:
        """An embedded model, pretrained on few documents for a few updates and for none."""
        entry = self._embedded(name)
        base = self._base(name)
        corpus = self.params.corpora[entry.corpus].model_copy(update={"documents": DOCUMENTS})
        none = entry.model_copy(update={"steps": 0})
        few = entry.model_copy(update={"steps": UPDATES})
        start = _seconds(lambda: self._base(name))
        before = resident()
        untrained = _seconds(lambda: pretrain(none, corpus, name, SEED))
        grown = resident() - before
        trained = _seconds(lambda: pretrain(few, corpus, name, SEED))
        documents = list(language(corpus.family, f"corpora.{entry.corpus}.family").documents(corpus, SEED))
        tokens = sum(map(len, load_tokenizer(base)(documents)["input_ids"]))
        # Only the first one makes the process grow.
        self.token_memory = self.token_memory or grown / tokens
        return PretrainingSpeed(
            parameters=size(base)["parameters"],
            start=start,
            document=max(0.0, untrained - start) / DOCUMENTS,
            update=max(0.0, trained - untrained) / UPDATES,
            tokens=BATCH * tokens / DOCUMENTS,
            memory=self.token_memory * tokens / DOCUMENTS,
        )

    def finetune(self, place: Place, sample: Sample | None) -> FinetuningSpeed:
        """A model finetuned on labels: an embedded one is timed, a hub model worked out from one block of its width."""
        prepare_torch(place.hparams.threads)
        known = sample or self._assumed(place)
        is_hub = isinstance(self.params.models[place.model], Hub)
        speed = self._calculated(place, known) if is_hub else self._timed(place, known)
        if sample is None:
            note = (place.task, f"not prepared yet, {TOKENS} tokens a text are assumed")
            speed = replace(speed, notes=[note, *speed.notes])
        return speed

    def learn_texts(self, place: Place, sample: Sample | None) -> TextSpeed:
        """A model finetuned on texts without labels: an embedded one is timed in few updates and in more."""
        hparams = place.hparams
        sample = sample or self._assumed(place)
        if isinstance(self.params.models[place.model], Hub):
            speed = self.finetune(place, sample)
            texts = len(sample.columns)  # of an example
            return TextSpeed(update=speed.update / texts, tokens=hparams.batch_size * speed.tokens / texts)
        base = self._base(place.model)
        path = self.folder / "texts.parquet"
        setting = self._setting(place, self.folder).with_hparams(epochs=1)

        def learn(updates: int) -> None:
            texts = list(islice(cycle(sample.texts), updates * hparams.batch_size))
            columns = {"id": [str(index) for index in range(len(texts))], "text": texts}
            files.write(path, files.strings("id", "text"), columns)
            learn_texts(setting, path, ("calibration",), base / "run", place.model)

        few = _seconds(partial(learn, WARM))
        many = _seconds(partial(learn, WARM + UPDATES))
        update = max(0.0, many - few) / UPDATES
        encoded = setting.tokenizer(sample.texts, truncation=True, max_length=setting.max_context)["input_ids"]
        tokens = hparams.batch_size * sum(map(len, encoded)) / len(encoded)
        return TextSpeed(start=max(0.0, few - WARM * update), update=update, tokens=tokens)

    def _timed(self, place: Place, sample: Sample) -> FinetuningSpeed:
        base = self._base(place.model)
        start = time.perf_counter()
        setting = self._setting(place, self.folder)
        model = setting.HEAD.load_base(base, place.hparams, generator("calibration"))
        loaded = time.perf_counter()
        items = setting.encode(sample.inputs)
        encoded = time.perf_counter()
        setting.predict(model, items)
        predicted = time.perf_counter()
        setting.predict(model, items)
        repeated = time.perf_counter()
        first = predicted - encoded
        # A head alone reads no text twice.
        predict = first if place.hparams.tune == "head" else min(first, repeated - predicted)
        updates: list[float] = []

        def timed_loss(outputs: Tensor, targets: Tensor, progress: float) -> Tensor:
            updates.append(time.perf_counter())
            if len(updates) > 2 * WARM and updates[-1] - updates[WARM] > SECONDS:
                raise TimedEnoughError
            return setting.default_loss(outputs, targets, progress)

        job = Job(
            setting=setting.with_hparams(epochs=10**6),
            examples=Examples(sample.inputs, sample.labels),
            test=sample.inputs,
            rng_key=("calibration",),
            out=base / "run",
            name=place.model,
            loss=timed_loss,
        )
        with suppress(TimedEnoughError):
            finetune(job, model)
        ended = time.perf_counter()
        encode = encoded - loaded
        return replace(
            self._untimed(place, size(base), [setting.length(item) for item in items]),
            # Finetuning encodes the examples once more before its first update.
            start=loaded - start + updates[0] - repeated - encode + ended - updates[-1],
            encode=encode / len(items),
            update=float(np.median(np.diff(updates[WARM:]))),
            predict=predict / len(items),
        )

    def _calculated(self, place: Place, sample: Sample) -> FinetuningSpeed:
        hparams = place.hparams
        model = self.params.models[place.model]
        assert isinstance(model, Hub)
        pin = files.bases(self.params.grid.seeds[0]) / place.model / PIN
        shape = _usual_shape(model.parameters)
        if pin.exists():
            pinned = json.loads(pin.read_text(encoding="utf-8"))
            shape = {name: pinned[name] for name in shape}
        notes = []
        try:
            setting = self._setting(place, files.bases(self.params.grid.seeds[0]))
            lengths = [setting.length(item) for item in setting.encode(sample.inputs)]
        except UserError:
            examples = zip(*sample.columns, strict=True)
            lengths = [sum(min(hparams.context, -(-len(text) // CHARACTERS)) for text in texts) for texts in examples]
            notes = [(place.model, f"not fetched yet, {CHARACTERS} characters a token are assumed")]
        speed = self._untimed(place, shape, lengths)
        training_rate, reading_rate = _block_rates(
            shape["hidden"], hparams.tune == "full", hparams.precision, hparams.threads
        )
        return replace(
            speed,
            parameters=model.parameters,
            update=hparams.batch_size * speed.flops * model.parameters * speed.tokens / training_rate,
            predict=2 * model.parameters * speed.tokens / reading_rate,
            notes=notes + speed.notes,
        )

    def _untimed(self, place: Place, shape: dict[str, int], lengths: list[int]) -> FinetuningSpeed:
        """All but the times, by a model's shape (`checkpoints.size`) and the tokens of each example.

        Of FLOPs for each weight and token two go forward, and backward two for the gradient of the activations and two
        for that of the weights, where these learn (Kaplan et al., 2020, section 2.1); two more for each time that a
        forward pass is repeated.
        """
        hparams = place.hparams
        parameters = shape["parameters"]
        hidden = shape["hidden"]
        layers = shape["layers"]
        # Adapters: both factors of every matrix of a block, four to the same width, two to or from four times that.
        adapters = 2 * (4 + 5) * hparams.lora.rank * hidden * layers
        trainable = {"full": parameters, "lora": adapters, "head": hidden + 1}[hparams.tune]
        batch = hparams.batch_size * max(lengths)
        test = self.params.split.test * max(lengths)
        notes = []
        try:
            budget = memory.budget(memory.Size(**shape, trainable=trainable), hparams, f"models.{place.model}")
        except UserError as error:
            notes = [(place.model, str(error).removeprefix(f"models.{place.model}: "))]
            budget = hparams.context
        repeats = hparams.gradient_checkpointing + (batch > budget)
        learning = min(budget, batch) * memory.per_token(hidden, layers, hparams)
        # A layer at a time.
        reading = min(budget, memory.cached(hidden), test) * memory.per_token(hidden, 1, hparams)
        return FinetuningSpeed(
            parameters=parameters,
            tokens=sum(lengths) / len(lengths),
            flops={"full": 6 + 2 * repeats, "lora": 4 + 2 * repeats, "head": 0}[hparams.tune],
            memory=memory.states(parameters, trainable, hparams) + max(learning, reading),
            notes=notes,
        )

    def _setting(self, place: Place, bases: Path) -> Setting:
        method = Method(finetune=place.hparams.model_dump())
        params = self.params.model_copy(update={"methods": {"calibration": method}})
        return setting_for(params, place.task, place.model, bases, "calibration")

    def _assumed(self, place: Place) -> Sample:
        """A batch of examples of a task that is not prepared yet."""
        count = place.hparams.batch_size
        setting = setting_class(self.params.tasks[place.task].setting, f"params.yaml: tasks.{place.task}.setting")
        ids = [str(index) for index in range(count)]
        text = " ".join(["the"] * TOKENS)
        columns = {name: ids if name in ("id", "group") else [text] * count for name in setting.INPUTS.names}
        labels = np.full(count, 0.5) if setting.PROBABILITIES else np.array(["the"] * count, object)
        return Sample(pa.table(columns, schema=setting.INPUTS), labels)

    def _embedded(self, name: str) -> Embedded:
        entry = self.params.models[name]
        assert isinstance(entry, Embedded)
        return entry

    def _base(self, name: str) -> Path:
        """The folder of an embedded model as it is before pretraining, made anew."""
        entry = self._embedded(name)
        folder = self.folder / name
        corpus = self.params.corpora[entry.corpus].model_copy(update={"documents": 1})
        model, tokenizer, _ = pretrain(entry.model_copy(update={"steps": 0}), corpus, name, SEED)
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder


def _usual_shape(parameters: int) -> dict[str, int]:
    """The shape that a transformer of this size usually has, as `checkpoints.size` gives it."""
    hidden = round((ASPECT_RATIO * parameters / BLOCK) ** (1 / 3))
    return {"parameters": parameters, "hidden": hidden, "layers": -(-hidden // ASPECT_RATIO)}


@cache
def _block_rates(
    hidden: int, full: bool, precision: Literal["auto", "fp32", "bf16"], threads: int
) -> tuple[float, float]:
    """FLOPs a second of a transformer block of this width: in training, with or without its weights, and reading."""
    device = hardware.device()
    width = 64 * max(1, round(min(hidden, WIDEST.get(device.type, hidden)) / 64))
    layer = nn.TransformerEncoderLayer(width, width // 64, 4 * width, dropout=0.0, batch_first=True, device=device)
    layer.requires_grad_(full)
    texts = torch.randn(2 if device.type == "cpu" else 32, 128, width, device=device, requires_grad=True)
    learning = [parameter for parameter in layer.parameters() if parameter.requires_grad]
    forward_flops = 2 * BLOCK * width**2 * texts.shape[0] * texts.shape[1]

    def forward() -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=hardware.precision(precision) == "bf16"):
            return layer(texts).float().mean()

    def read() -> None:
        # `item` waits for the device.
        forward().item()

    def train() -> None:
        torch.autograd.grad(forward(), [texts, *learning])[0][0, 0, 0].item()

    with torch.no_grad():
        reading_rate = forward_flops / _mean_seconds(read)
    training_rate = (3 if full else 2) * forward_flops / _mean_seconds(train)
    return training_rate, reading_rate


def _mean_seconds(act: Callable[[], object]) -> float:
    """Mean time of several runs after a first one, which does what is done once."""
    act()
    runs = 0
    start = time.perf_counter()
    while runs == 0 or time.perf_counter() - start < SECONDS / 4:
        act()
        runs += 1
    return (time.perf_counter() - start) / runs


def _seconds(act: Callable[[], object]) -> float:
    """The shorter one of two times, so that a moment's disturbance does not count."""
    times = []
    for _ in range(2):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return min(times)


def resident() -> int:
    """Bytes that this process held at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
