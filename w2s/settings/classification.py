"""Classification: one text in, P(true) out (the paper's NLP setting)."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase

from w2s.models.batches import by_length, padded
from w2s.models.heads import load_tokenizer, opened
from w2s.params import Answers
from w2s.records import TEXTS as INPUTS

__all__ = ["INPUTS", "encode", "logits", "zero_shot"]


def encode(tokenizer: PreTrainedTokenizerBase, inputs: pa.Table) -> list[list[int]]:
    """Each text's token ids, cut at the front where the model's context is too short for it."""
    tokenizer.truncation_side = "left"
    return tokenizer(inputs["text"].to_pylist(), truncation=True)["input_ids"]


def logits(model: nn.Module, items: list[list[int]], pad: int) -> Tensor:
    """z [batch] of encoded texts, P(true) = σ(z)."""
    ids, mask = padded(items, pad, next(model.parameters()).device)
    return model(input_ids=ids, attention_mask=mask)


@torch.inference_mode()
def zero_shot(folder: Path, inputs: pa.Table, answers: Answers, micro_batch: int) -> np.ndarray:
    """P(true) [examples]: the base model's probability of the true answer words next, over that of all answer words."""
    tokenizer = load_tokenizer(folder)
    model = opened(AutoModelForCausalLM, folder).eval()
    items = encode(tokenizer, inputs)
    example = inputs["text"][0].as_py()
    prefix = len(tokenizer(example)["input_ids"])
    true, false = (
        [tokenizer(f"{example} {word}")["input_ids"][prefix] for word in words]
        for words in (answers.true, answers.false)
    )
    p = np.empty(len(items))
    for batch in by_length([len(item) for item in items], micro_batch):
        ids, mask = padded([items[index] for index in batch], tokenizer.pad_token_id or 0, model.device)
        scores = model(input_ids=ids, attention_mask=mask).logits[torch.arange(len(batch)), mask.sum(1) - 1].double()
        odds = scores[:, true].logsumexp(1) - scores[:, false].logsumexp(1)
        p[batch] = odds.sigmoid().numpy(force=True)
    return p
