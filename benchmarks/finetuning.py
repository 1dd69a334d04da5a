"""One epoch of finetuning and one pass of prediction: w2s against transformers' own Trainer, side by side.

Run `python -m benchmarks.finetuning` after `dvc repro` (it takes the rung `l` and the task's student half). Both train
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
from w2s.settings import reader as setting_of
from w2s.training.finetune import finetune

TASK, MODEL, ROUNDS = "reviews", "l", 5
PREDICTED = 256  # texts that Trainer predicts at a time


class Half(Dataset):
    """The student half as Trainer wants it."""

    def __init__(self, items: list[list[int]], labels: list[int]) -> None:
        self.rows = [{"input_ids": ids, "label": label} for ids, label in zip(items, labels, strict=True)]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict:
        return self.rows[index]


def main() -> None:
    reader = setting_of(load(), TASK, MODEL).tuned_by({"epochs": 1, "snapshots": 1})
    settings, test = reader.settings, files.inputs(TASK, "test")
    examples = reader.examples(files.inputs(TASK, "student"), files.truth(TASK, "student"))
    train = Half(examples.items, examples.labels.astype(int).tolist())
    _, test_items = reader.inputs(test)
    unseen = Half(test_items, [0] * len(test_items))

    def ours(folder: Path) -> None:
        model = reader.HEAD.load_base(reader.base, settings, generator("benchmark"))
        finetune(model, reader, examples, ("benchmark",), test, folder, "w2s", "none")

    def theirs(folder: Path) -> None:
        model = AutoModelForSequenceClassification.from_pretrained(reader.base, num_labels=2)
        arguments = TrainingArguments(
            output_dir=str(folder),
            num_train_epochs=1,
            per_device_train_batch_size=settings.batch_size,
            per_device_eval_batch_size=PREDICTED,
            learning_rate=settings.learning_rate,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
        )
        trainer = Trainer(model, arguments, DataCollatorWithPadding(reader.tokenizer), train_dataset=train)
        trainer.train()
        trainer.predict(unseen)

    ratios = [seconds(theirs) / seconds(ours) for _ in range(ROUNDS + 1)][1:]  # the first round warms up
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
