"""How fast an experiment's models train and predict on this machine: the part of the calibration that needs torch."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn

from w2s.core import files
from w2s.core.determinism import generator, prepare_torch
from w2s.core.errors import UserError
from w2s.core.params import Embedded, Finetune, Hub, Method, Params
from w2s.data.corpora import language
from w2s.models import hardware, memory
from w2s.models.checkpoints import PIN, load_tokenizer, size
from w2s.pipeline.cost.samples import Sample
from w2s.pipeline.cost.work import Notes, Pretrained, Tuned, resident
from w2s.pretraining.pretrain import BATCH, pretrain
from w2s.settings import setting_class, setting_for
from w2s.settings.base import Examples, Setting
from w2s.training.finetune import finetune
from w2s.training.job import Job
from w2s.training.texts import learn_texts

DOCUMENTS, UPDATES = 4000, 60  # of pretraining that are watched
SECONDS, WARM = 1.0, 5  # of finetuning that are watched, after a few updates to warm up
TOKENS = 128  # of a text that nobody has seen yet: an assumption
CHARACTERS = 4  # a token, in English and a byte-pair vocabulary: an assumption
BLOCK = 12  # weights of a transformer block, in squares of its width (Kaplan et al., 2020, table 1)
SLENDER = 64  # width over depth of a usual transformer: an assumption
WIDEST = {"cpu": 1024}  # a wider block runs at the same rate, and takes long


class Enough(Exception):  # noqa: N818  (no error)
    """Ends a training that has been watched long enough."""


@dataclass(frozen=True)
class Shape:
    """A transformer's size."""

    parameters: int
    hidden: int
    layers: int

    @classmethod
    def usual(cls, parameters: int) -> Self:
        """The shape that a model of this size usually has."""
        hidden = round((SLENDER * parameters / BLOCK) ** (1 / 3))
        return cls(parameters, hidden, -(-hidden // SLENDER))


class Bench:
    """Measures the models of `params`; what that leaves on disk lies in `folder`."""

    def __init__(self, params: Params, folder: Path) -> None:
        self.params, self.folder = params, folder
        self.held = 0.0  # bytes a token of a corpus takes

    def pretrained(self, name: str) -> Pretrained:
        """A rung's cost: pretrained on few documents, for a few updates and for none."""
        rung, base = self.params.models[name], self._base(name)
        assert isinstance(rung, Embedded)
        corpus = self.params.corpora[rung.corpus].model_copy(update={"documents": DOCUMENTS})
        none, few = (rung.model_copy(update={"steps": steps}) for steps in (0, UPDATES))
        started, held = _seconds(lambda: self._base(name)), resident()
        untrained = _seconds(lambda: pretrain(none, corpus, name, base))
        grown = resident() - held
        trained = _seconds(lambda: pretrain(few, corpus, name, base))
        documents = language(corpus.family, f"corpora.{rung.corpus}.family").documents(corpus)
        lengths = [len(document) for document in load_tokenizer(base)(list(documents))["input_ids"]]
        self.held = self.held or grown / sum(lengths)  # only the first one makes the process grow
        return Pretrained(
            parameters=size(base)["parameters"],
            start=started,
            document=max(0.0, untrained - started) / DOCUMENTS,
            update=max(0.0, trained - untrained) / UPDATES,
            tokens=BATCH * sum(lengths) / DOCUMENTS,
            memory=self.held * sum(lengths) / DOCUMENTS,
        )

    def tuned(self, task: str, name: str, hparams: Finetune, sample: Sample | None) -> Tuned:
        """The cost of finetuning: watched for a rung, and for a hub model worked out from one block of its width."""
        model = self.params.models[name]
        prepare_torch(hparams.threads)
        notes = [] if sample else [(task, f"not prepared yet, {TOKENS} tokens a text are assumed")]
        sample = sample or self._assumed(task, hparams.batch_size)
        if isinstance(model, Embedded):
            return self._watched(task, name, hparams, sample, notes)
        return self._foretold(task, name, model, hparams, sample, notes)

    def read(self, task: str, name: str, hparams: Finetune, sample: Sample | None) -> Pretrained:
        """The cost of finetuning on texts without labels: for a rung from few updates and from more."""
        model = self.params.models[name]
        sample = sample or self._assumed(task, hparams.batch_size)
        if isinstance(model, Hub):
            one, sides = self.tuned(task, name, hparams, sample), len(sample.shown)  # texts that an example shows
            tokens = hparams.batch_size * one.tokens / sides
            return Pretrained(one.parameters, 0.0, 0.0, one.update / sides, tokens, 0.0)
        base, texts = self._base(name), self.folder / "texts.parquet"
        setting = self._setting(task, name, hparams, self.folder).with_hparams(epochs=1)

        def learn(updates: int) -> None:
            shown = list(islice(cycle(sample.texts), updates * hparams.batch_size))
            columns = {"id": [str(index) for index in range(len(shown))], "text": shown}
            files.write(texts, files.strings("id", "text"), columns)
            learn_texts(setting, texts, ("calibration",), base / "run", name)

        few, many = (_seconds(partial(learn, updates)) for updates in (WARM, WARM + UPDATES))
        update = max(0.0, many - few) / UPDATES
        encoded = setting.tokenizer(sample.texts, truncation=True, max_length=setting.max_context)["input_ids"]
        tokens = hparams.batch_size * sum(map(len, encoded)) / len(encoded)
        return Pretrained(size(base)["parameters"], max(0.0, few - WARM * update), 0.0, update, tokens, 0.0)

    def _watched(self, task: str, name: str, hparams: Finetune, sample: Sample, notes: Notes) -> Tuned:
        base = self._base(name)
        clock = [time.perf_counter()]
        setting = self._setting(task, name, hparams, self.folder)
        model = setting.HEAD.load_base(base, hparams, generator("calibration"))
        clock.append(time.perf_counter())
        items = setting.encode(sample.inputs)
        clock.append(time.perf_counter())
        for _ in range(2):
            setting.predict(model, items)
            clock.append(time.perf_counter())
        opened, encoded, *predicted = np.diff(clock)
        read = predicted[0] if hparams.tune == "head" else min(predicted)  # a head alone reads no text twice
        updates: list[float] = []

        def watched(outputs: Tensor, targets: Tensor, progress: float) -> Tensor:
            updates.append(time.perf_counter())
            if len(updates) > 2 * WARM and updates[-1] - updates[WARM] > SECONDS:
                raise Enough
            return setting.default_loss(outputs, targets, progress)

        job = Job(
            setting=setting.with_hparams(epochs=10**6),
            examples=Examples(sample.inputs, sample.labels),
            test=sample.inputs,
            rng_key=("calibration",),
            out=base / "run",
            name=name,
            loss=watched,
        )
        with suppress(Enough):
            finetune(job, model)
        ended = time.perf_counter() - updates[-1]
        shape = Shape(**size(base))
        return Tuned(
            parameters=shape.parameters,
            start=opened + updates[0] - clock[-1] - encoded + ended,
            text=encoded / len(items),
            update=float(np.median(np.diff(updates[WARM:]))),
            read=read / len(items),
            **self._amounts(name, shape, hparams, [setting.length(item) for item in items], notes),
        )

    def _foretold(self, task: str, name: str, model: Hub, hparams: Finetune, sample: Sample, notes: Notes) -> Tuned:
        pin = files.BASES / name / PIN
        if pin.exists():
            held = json.loads(pin.read_text())
            shape = Shape(held["parameters"], held["hidden"], held["layers"])
        else:
            shape = Shape.usual(model.parameters)
        try:
            setting = self._setting(task, name, hparams, files.BASES)
            lengths = [setting.length(item) for item in setting.encode(sample.inputs)]
        except UserError:
            texts = zip(*sample.shown, strict=True)
            lengths = [sum(min(hparams.context, -(-len(text) // CHARACTERS)) for text in shown) for shown in texts]
            notes = [*notes, (name, f"not fetched yet, {CHARACTERS} characters a token are assumed")]
        amounts = self._amounts(name, shape, hparams, lengths, notes)
        trains, reads_at = _block(shape.hidden, hparams.tune == "full", hparams.precision, hparams.threads)
        flops = model.parameters * amounts["tokens"]
        return Tuned(
            parameters=model.parameters,
            start=0.0,
            text=0.0,
            update=hparams.batch_size * amounts["learn"] * flops / trains,
            read=2 * flops / reads_at,
            **amounts,
        )

    def _amounts(self, name: str, shape: Shape, hparams: Finetune, lengths: list[int], notes: Notes) -> dict[str, Any]:
        """Tokens of a text, FLOPs for each weight and token learned from, and bytes of memory.

        Two FLOPs forward, and backward two for the gradient of the activations and two for that of the weights, where
        these learn (Kaplan et al., 2020, section 2.1); two more for each time that a forward pass is repeated.
        """
        # Adapters: both factors of every matrix of a block, four to the same width, two to or from four times that.
        adapters = 2 * (4 + 5) * hparams.lora.rank * shape.hidden * shape.layers
        trainable = {"full": shape.parameters, "lora": adapters, "head": shape.hidden + 1}[hparams.tune]
        batch, tests = (count * max(lengths) for count in (hparams.batch_size, self.params.split.test))
        try:
            size_of = memory.Size(shape.parameters, trainable, shape.hidden, shape.layers)
            budget = memory.budget(size_of, hparams, f"models.{name}")
        except UserError as error:
            notes, budget = [*notes, (name, str(error).removeprefix(f"models.{name}: "))], hparams.context
        repeats = hparams.gradient_checkpointing + (batch > budget)
        learning = min(budget, batch) * memory.per_token(shape.hidden, shape.layers, hparams)
        reading = min(budget, tests) * memory.per_token(shape.hidden, 1, hparams)  # a layer at a time
        return {
            "tokens": sum(lengths) / len(lengths),
            "learn": {"full": 6, "lora": 4, "head": 0}[hparams.tune] + 2 * repeats * (hparams.tune != "head"),
            "memory": memory.states(shape.parameters, trainable, hparams) + max(learning, reading),
            "notes": notes,
        }

    def _setting(self, task: str, name: str, hparams: Finetune, bases: Path) -> Setting:
        pace = Method(finetune=hparams.model_dump())
        return setting_for(self.params.model_copy(update={"methods": {"pace": pace}}), task, name, "pace", bases)

    def _assumed(self, task: str, count: int) -> Sample:
        """Examples of a task that nobody has seen yet."""
        kind = setting_class(self.params.tasks[task].setting, f"params.yaml: tasks.{task}.setting")
        ids, text = [str(index) for index in range(count)], " ".join(["the"] * TOKENS)
        columns = {name: ids if name in ("id", "group") else [text] * count for name in kind.INPUTS.names}
        spoken = pa.types.is_string(kind.LABELS[1].type)
        labels = np.array(["the"] * count, object) if spoken else np.full(count, 0.5)
        return Sample(pa.table(columns, schema=kind.INPUTS), labels)

    def _base(self, name: str) -> Path:
        """The folder of a rung as it is before pretraining."""
        rung, folder = self.params.models[name], self.folder / name
        assert isinstance(rung, Embedded)
        corpus = self.params.corpora[rung.corpus].model_copy(update={"documents": 1})
        pretrain(rung.model_copy(update={"steps": 0}), corpus, name, folder)
        return folder


@cache
def _block(hidden: int, full: bool, precision: Literal["auto", "fp32", "bf16"], threads: int) -> tuple[float, float]:
    """FLOPs a second of a transformer block of this width: in training, with or without its weights, and reading."""
    device = hardware.device()
    width = 64 * max(1, round(min(hidden, WIDEST.get(device.type, hidden)) / 64))
    layer = nn.TransformerEncoderLayer(width, width // 64, 4 * width, dropout=0.0, batch_first=True, device=device)
    layer.requires_grad_(full)
    texts = torch.randn(2 if device.type == "cpu" else 32, 128, width, device=device, requires_grad=True)
    learning = [parameter for parameter in layer.parameters() if parameter.requires_grad]
    forward = 2 * BLOCK * width**2 * texts.shape[0] * texts.shape[1]

    def read() -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=hardware.precision(precision) == "bf16"):
            return layer(texts).float().mean()

    def rate(flops: int, act: Callable[[], object]) -> float:
        done = 0
        act()
        start = time.perf_counter()
        while done < 1 or time.perf_counter() - start < SECONDS / 4:
            act()
            done += 1
        return done * flops / (time.perf_counter() - start)

    with torch.no_grad():
        reads = rate(forward, lambda: read().item())  # waits for the device
    return rate(
        forward * (3 if full else 2), lambda: torch.autograd.grad(read(), [texts, *learning])[0][0, 0, 0].item()
    ), reads


def _seconds(act: Callable[[], object]) -> float:
    """The shorter one of two times, so that a moment's disturbance does not count."""
    times = []
    for _ in range(2):
        start = time.perf_counter()
        act()
        times.append(time.perf_counter() - start)
    return min(times)
