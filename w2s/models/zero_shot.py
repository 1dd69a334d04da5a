"""A base model without finetuning: which of some words does it expect after a text?"""

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, PreTrainedTokenizerBase

from w2s.core.params import Finetune
from w2s.core.stopwatch import compute
from w2s.models import hardware, memory
from w2s.models.batches import Budget, encode, pad_batch
from w2s.models.checkpoints import MissingHeadError, is_encoder, load_tokenizer, opened, padding, width


@compute
@torch.no_grad()
def next_words(base: Path, texts: list[str], words: list[str], hparams: Finetune, max_tokens: int) -> np.ndarray:
    """Logit of each word's first token right after each text: float64 [texts, words].

    An encoder is asked to fill a mask there; what a tokenizer puts behind a text comes after the mask, and is left out
    for a causal model. Of a text over `max_tokens`, the end is read. Raises `MissingHeadError` for a model that has no
    language modelling head.
    """
    tokenizer = load_tokenizer(base)
    encoder = is_encoder(opened(AutoConfig, base))
    if encoder and tokenizer.mask_token_id is None:
        raise MissingHeadError(f"{base}: its tokenizer has no mask token")
    bf16 = hardware.bf16(hparams)
    model_class = AutoModelForMaskedLM if encoder else AutoModelForCausalLM
    model = opened(model_class, base, torch.bfloat16 if bf16 else torch.float32).to(hardware.device()).eval()
    if bf16:
        # Logits of 8 bits would tie where answers are close.
        head = copy.deepcopy(model.get_output_embeddings()).float()
        head.register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))
        model.set_output_embeddings(head)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    frozen = hparams.model_copy(update={"tune": "head"})
    # Nothing is kept for a backward pass, so depth does not count.
    size = memory.Size(parameters, trainable=0, hidden=width(model.config), layers=1)
    budget = Budget(memory.budget(size, frozen, str(base)), memory.cached(size.hidden))

    answers = first_tokens(tokenizer, words)
    behind = _tokens_behind(tokenizer)
    mask_token = [tokenizer.mask_token_id] if encoder else []
    items = []
    asked = []  # the place in each item whose logits are read
    for ids in encode(tokenizer, texts, max_tokens - len(mask_token), keep="end"):
        end = len(ids) - behind
        items.append([*ids[:end], *mask_token, *ids[end:]] if encoder else ids[:end])
        asked.append(end if encoder else end - 1)
    scores = np.empty((len(texts), len(words)))

    def attempt() -> None:
        for batch in budget.passes([len(item) for item in items]):
            ids, mask = pad_batch([items[index] for index in batch], padding(tokenizer, model.config), model.device)
            rows = torch.arange(len(batch), device=model.device)
            places = torch.tensor([asked[index] for index in batch], device=model.device)
            if encoder:
                logits = model(input_ids=ids, attention_mask=mask).logits[rows, places]
            else:
                # Logits of a large vocabulary take much memory: only where they are read.
                positions = places.unique()
                logits = model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=positions).logits
                logits = logits[rows, torch.searchsorted(positions, places)]
            scores[batch] = logits[:, answers].float().numpy(force=True)

    budget.retry_on_oom(attempt)
    return scores


def first_tokens(tokenizer: PreTrainedTokenizerBase, words: Sequence[str]) -> list[int]:
    """The id of each word's first token as it stands after another word and a space; -1 where it has none.

    `models.answers` refuses words that these cannot tell apart.
    """
    before, *encoded = tokenizer(["x", *(f"x {word}" for word in words)], add_special_tokens=False)["input_ids"]
    return [ids[len(before)] if len(ids) > len(before) else -1 for ids in encoded]


def _tokens_behind(tokenizer: PreTrainedTokenizerBase) -> int:
    """How many special tokens a tokenizer puts behind every text."""
    whole = tokenizer("x")["input_ids"]
    text = tokenizer("x", add_special_tokens=False)["input_ids"]
    start = next(start for start in range(len(whole)) if whole[start : start + len(text)] == text)
    return len(whole) - start - len(text)
