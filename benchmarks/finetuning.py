"""Finetuning for an epoch, then prediction: w2s against transformers' own Trainer, in turns.

Run `python -m benchmarks.finetuning [model …] [rounds]`; models are the embedded `l`, GPT-2's shapes with random
weights (small; see `SHAPES`), and those of the catalogue in params.yaml with their own (minilm-l6). Both sides do the
same work in batches of the same size, each in processes of its own, on one CPU thread in fp32 or, if there is a GPU, on
that in bf16. Printed are texts a second of processor time (on a GPU: of wall time) and the peak of memory, as medians,
and the medians of the rounds' ratios: absolute times on a shared machine say little.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dvc.repo
import dvc.scm  # noqa: F401  (DVCLive imports both when a training begins; no side's imports are timed)
import numpy as np
import pyarrow as pa
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch.utils.data import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    DataCollatorWithPadding,
    GPT2Config,
    GPT2Model,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
)

from tests.conftest import setting_of
from w2s.core import files
from w2s.core.checks import load
from w2s.core.determinism import generator
from w2s.core.errors import ends_in_one_line, unknown
from w2s.core.params import Hub
from w2s.models import hardware
from w2s.models.checkpoints import PIN, fetched
from w2s.models.pin import pin
from w2s.settings.base import Examples
from w2s.training.finetune import finetune
from w2s.training.job import Job

ROUNDS = 5
BATCH = 32
PREDICTED = 256  # texts that Trainer predicts at a time
VOCABULARY = 50257
# Width, layers, heads and texts learned and predicted.
SHAPES = {
    "tiny": (32, 2, 2, 64, 64),
    "small": (768, 12, 12, 64, 64),
    "medium": (1024, 24, 16, 2048, 4096),
    "xl": (1600, 48, 25, 640, 1280),
}
CATALOGUE = (500, 1000)  # the same of a model in params.yaml
TEXTS = {"l": (2000, 4000)} | {name: shape[3:] for name, shape in SHAPES.items()}
SHORT = (8, 30)  # fewest and most words of a text, as in SST-2
LONG = {name: (46, 320) for name in ("small", "medium", "xl")}  # on average 183, as in DREAM
SIDES = ("w2s", "Trainer")
ON_GPU = hardware.device().type == "cuda"


class Rows(Dataset):
    """Encoded texts as Trainer wants them."""

    def __init__(self, items: list[list[int]], labels: np.ndarray) -> None:
        self.rows = [{"input_ids": ids, "label": int(p > 0.5)} for ids, p in zip(items, labels, strict=True)]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict:
        return self.rows[index]


def made(model: str, folder: Path) -> Path:
    """The checkpoint of a base model: an embedded one, one with random weights, or one in the hub's cache."""
    base = folder / model
    if model in SHAPES:
        words = {f"w{index}": index for index in range(VOCABULARY)}
        inner = Tokenizer(models.WordLevel(words, "w0"))
        inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="w0", pad_token="w0")
        tokenizer.model_max_length = 1024
        tokenizer.save_pretrained(base)
        width, layers, heads, *_ = SHAPES[model]
        GPT2Model(GPT2Config(n_embd=width, n_layer=layers, n_head=heads, pad_token_id=0)).save_pretrained(base)
        return base
    catalogue = load().models
    if model not in catalogue:
        raise unknown("model", model, [*SHAPES, *catalogue])
    entry = catalogue[model]
    if not isinstance(entry, Hub):
        return files.bases(0) / model
    base.mkdir()
    pin(entry, f"params.yaml: models.{model}", base)
    return fetched(files.read_json(base / PIN), model)


def measure(side: str, model: str, base: str) -> dict[str, float]:
    """Texts learned and predicted a second, tokens learned a second, and the peak of memory in bytes."""
    with tempfile.TemporaryDirectory() as name:
        precision = "bf16" if ON_GPU else "fp32"
        ours = setting_of(
            Path(base), epochs=1, snapshots=1, batch_size=BATCH, context=1024, learning_rate=1e-5, precision=precision
        )
        rng = np.random.default_rng(0)
        words = [word for word in ours.tokenizer.get_vocab() if word.isascii() and word.isalnum()]
        fewest, most = LONG.get(model, SHORT)

        def texts(count: int) -> pa.Table:
            ids = [str(index) for index in range(count)]
            lines = [" ".join(rng.choice(words, rng.integers(fewest, most + 1))) for _ in ids]
            return pa.table({"id": ids, "text": lines, "group": ids}, schema=ours.INPUTS)

        learned, predicted = map(texts, TEXTS.get(model, CATALOGUE))
        labels = rng.random(len(learned))
        learned_items, predicted_items = ours.encode(learned), ours.encode(predicted)
        times = []
        if side == "w2s":
            head = ours.HEAD.load_base(ours.base, ours.hparams, generator("benchmark"))
            # Snapshots are timed apart.
            job = Job(
                setting=ours,
                examples=Examples(learned, labels),
                test=learned[:1],
                rng_key=("benchmark",),
                out=Path(name, "run"),
                name="w2s",
            )
            times.append(now())
            finetune(job, head)
            times.append(now())
            ours.predict(head, predicted_items)
        else:
            theirs = AutoModelForSequenceClassification.from_pretrained(ours.base, num_labels=2, dtype=torch.float32)
            theirs.config.pad_token_id = ours.pad
            ours.tokenizer.pad_token = ours.tokenizer.convert_ids_to_tokens(ours.pad)
            arguments = TrainingArguments(
                output_dir=name,
                num_train_epochs=1,
                per_device_train_batch_size=BATCH,
                per_device_eval_batch_size=PREDICTED if model == "l" else BATCH,
                train_sampling_strategy="group_by_length",
                learning_rate=ours.hparams.learning_rate,
                bf16=ON_GPU,
                report_to=[],
                save_strategy="no",
                disable_tqdm=True,
            )
            rows = Rows(learned_items, labels)
            trainer = Trainer(theirs, arguments, DataCollatorWithPadding(ours.tokenizer), train_dataset=rows)
            times.append(now())
            trainer.train()
            times.append(now())
            trainer.predict(Rows(predicted_items, np.zeros(len(predicted_items))))
        times.append(now())
    learning, predicting = np.diff(times)
    memory = torch.cuda.max_memory_allocated() if ON_GPU else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "learned a second": len(learned) / learning,
        "predicted a second": len(predicted) / predicting,
        "both a second": (len(learned) + len(predicted)) / (learning + predicting),
        "tokens a second": sum(map(len, learned_items)) / learning,
        "memory": memory,
    }


def now() -> float:
    """Seconds of this process, or of the clock where a GPU works."""
    if ON_GPU:
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def compare(model: str, rounds: int) -> dict[str, dict[str, float]]:
    """The medians of each side, printed with the ratios."""
    found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        base = made(model, Path(folder))
        for side in SIDES * rounds:
            command = [sys.executable, "-m", "benchmarks.finetuning", "--one", side, model, str(base)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            found[side].append(json.loads(done.stdout.splitlines()[-1]))
    medians = {
        side: {key: statistics.median(one[key] for one in runs) for key in runs[0]} for side, runs in found.items()
    }
    for key in medians["w2s"]:
        ratio = statistics.median(one[key] / other[key] for one, other in zip(*found.values(), strict=True))
        numbers = "  ".join(f"{side} {values[key]:.4g}" for side, values in medians.items())
        print(f"{model:8} {key:20} {numbers}  ratio {ratio:.2f}", flush=True)
    return medians


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        torch.set_num_threads(1)
        print(json.dumps(measure(*sys.argv[2:])))
        return
    rounds = int(sys.argv[-1]) if sys.argv[-1].isdigit() else ROUNDS
    for model in [word for word in sys.argv[1:] if not word.isdigit()] or ["l", "small"]:
        compare(model, rounds)


if __name__ == "__main__":
    sys.exit(ends_in_one_line(main))
