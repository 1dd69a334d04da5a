"""A base model asked in its own words, without finetuning: which word would stand next?"""

import copy
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM

from w2s.core.params import Finetune
from w2s.models import hardware, memory
from w2s.models.batches import Budget, padded
from w2s.models.checkpoints import is_encoder, load_tokenizer, opened, width


@torch.no_grad()
def next_words(base: Path, texts: list[str], words: list[str], settings: Finetune, context: int) -> np.ndarray:
    """How strongly each word's first token is expected right after each text: log-odds [texts, words], float64.

    An encoder is asked to fill a mask there. Texts are cut at the front to `context` tokens. Raises
    `MissingHeadError` for a model that has no words.
    """
    tokenizer, encoder = load_tokenizer(base), is_encoder(opened(AutoConfig, base))
    half = hardware.half(settings)
    kind = AutoModelForMaskedLM if encoder else AutoModelForCausalLM
    model = opened(kind, base, torch.bfloat16 if half else torch.float32).to(hardware.device()).eval()
    if half:  # close answers would tie
        head = copy.deepcopy(model.get_output_embeddings()).float()
        head.register_forward_pre_hook(lambda _, given: (given[0].float(),))
        model.set_output_embeddings(head)
    sizes = sum(parameter.numel() for parameter in model.parameters()), 0, width(model.config), 1
    budget = Budget(memory.budget(*sizes, settings.model_copy(update={"tune": "head"}), str(base)))  # nothing learns

    def tokens(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    answers = [tokens(f"{texts[0]} {word}")[len(tokens(texts[0]))] for word in words]
    tokenizer.truncation_side = "left"
    asked = [f"{text} {tokenizer.mask_token}" for text in texts] if encoder else texts
    items = tokenizer(asked, truncation=True, max_length=context)["input_ids"]
    scores = np.empty((len(texts), len(words)))

    def attempt() -> None:
        for batch in budget.cut([len(item) for item in items]):
            ids, mask = padded([items[index] for index in batch], tokenizer.pad_token_id or 0, model.device)
            rows = torch.arange(len(batch), device=model.device)
            if encoder:
                logits = model(input_ids=ids, attention_mask=mask).logits
                logits = logits[rows, (ids == tokenizer.mask_token_id).int().argmax(1)]
            else:
                last = mask.sum(1) - 1
                places = last.unique()  # a vocabulary's logits are large: only where they are read
                logits = model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=places).logits
                logits = logits[rows, torch.searchsorted(places, last)]
            scores[batch] = logits[:, answers].float().numpy(force=True)

    budget.spend(attempt)
    return scores
