"""One epoch of finetuning and one pass of prediction: w2s against transformers' own Trainer, side by side.

Run `python -m benchmarks.finetuning` after `dvc repro` (it takes the model `l` and the task's student half). Both train
the same number of examples in batches of the same size, in fp32 on one thread; printed is the median ratio of paired
rounds, since absolute times on a shared machine say little. On 2 cores: 1.59 (from 1.54 to 1.85), w2s being faster.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.data import Dataset
from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding, Trainer, TrainingArguments

from w2s.core import files
from w2s.core.checks import load
from w2s.core.determinism import generator
from w2s.settings import setting_for
from w2s.training.finetune import finetune
from w2s.training.job import Job

TASK = "reviews"
MODEL = "l"
SEED = 0
ROUNDS = 5
# Texts that Trainer predicts at a time.
PREDICTED = 256


class Half(Dataset):
    """The student half as Trainer wants it."""

    def __init__(self, items: list[list[int]], labels: list[int]) -> None:
        self.rows = [{"input_ids": ids, "label": label} for ids, label in zip(items, labels, strict=True)]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict:
        return self.rows[index]


def main() -> None:
    setting = setting_for(load(), TASK, MODEL, files.bases(SEED)).with_hparams(epochs=1, snapshots=1, keep="none")
    hparams = setting.hparams
    examples = setting.read(files.inputs(TASK, SEED, "student"), files.truth(TASK, SEED, "student"))
    test = files.read(files.inputs(TASK, SEED, "test"), setting.INPUTS)
    test_items = setting.encode(test)
    learned = Half(setting.encode(examples.inputs), examples.labels.astype(int).tolist())
    predicted = Half(test_items, [0] * len(test_items))

    def ours(folder: Path) -> None:
        model = setting.HEAD.load_base(setting.base, hparams, generator("benchmark"))
        job = Job(setting=setting, examples=examples, test=test, rng_key=("benchmark",), out=folder, name="w2s")
        finetune(job, model)

    def theirs(folder: Path) -> None:
        model = AutoModelForSequenceClassification.from_pretrained(setting.base, num_labels=2)
        arguments = TrainingArguments(
            output_dir=str(folder),
            num_train_epochs=1,
            per_device_train_batch_size=hparams.batch_size,
            per_device_eval_batch_size=PREDICTED,
            learning_rate=hparams.learning_rate,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
        )
        trainer = Trainer(model, arguments, DataCollatorWithPadding(setting.tokenizer), train_dataset=learned)
        trainer.train()
        trainer.predict(predicted)

    # The first round warms up.
    ratios = [seconds(theirs) / seconds(ours) for _ in range(ROUNDS + 1)][1:]
    print(f"Trainer / w2s, wall time, {ROUNDS} rounds: median {statistics.median(ratios):.2f}", end=" ")
    print(f"(from {min(ratios):.2f} to {max(ratios):.2f}); above 1, w2s is faster")


def seconds(work: Callable[[Path], None]) -> float:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        work(Path(folder))
        return time.perf_counter() - begin


if __name__ == "__main__":
    main()
