"""A base model without finetuning: which of some words does it expect after a text?"""

import copy
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, PreTrainedTokenizerBase

from w2s.core.params import Finetune
from w2s.core.stopwatch import compute
from w2s.models import hardware, memory
from w2s.models.batches import Budget, encode, pad_batch
from w2s.models.checkpoints import is_encoder, load_tokenizer, opened, padding, width


@compute
@torch.no_grad()
def next_words(base: Path, texts: list[str], words: list[str], hparams: Finetune, max_tokens: int) -> np.ndarray:
    """Logit of each word's first token right after each text: float64 [texts, words].

    An encoder is asked to fill a mask there. Of a text over `max_tokens`, the end is read. Raises
    `MissingHeadError` for a model that has no language modelling head.
    """
    tokenizer = load_tokenizer(base)
    encoder = is_encoder(opened(AutoConfig, base))
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
    budget = Budget(memory.budget(size, frozen, str(base)))

    answers = _first_tokens(tokenizer, texts[0], words)
    prompts = [f"{text} {tokenizer.mask_token}" for text in texts] if encoder else texts
    items = encode(tokenizer, prompts, max_tokens, keep="end")
    scores = np.empty((len(texts), len(words)))

    def attempt() -> None:
        for batch in budget.micro_batches([len(item) for item in items]):
            ids, mask = pad_batch([items[index] for index in batch], padding(tokenizer, model.config), model.device)
            rows = torch.arange(len(batch), device=model.device)
            if encoder:
                logits = model(input_ids=ids, attention_mask=mask).logits
                logits = logits[rows, (ids == tokenizer.mask_token_id).int().argmax(1)]
            else:
                last = mask.sum(1) - 1
                # Logits of a large vocabulary take much memory: only where they are read.
                positions = last.unique()
                logits = model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=positions).logits
                logits = logits[rows, torch.searchsorted(positions, last)]
            scores[batch] = logits[:, answers].float().numpy(force=True)

    budget.retry_on_oom(attempt)
    return scores


def _first_tokens(tokenizer: PreTrainedTokenizerBase, text: str, words: list[str]) -> list[int]:
    """The id of each word's first token as it stands after a text and a space."""

    def ids(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    return [ids(f"{text} {word}")[len(ids(text))] for word in words]
