"""Language modelling: what a causal model learns of texts without labels."""

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from w2s.models.batches import pad_batch

IGNORED = -100


def next_token(model: nn.Module, documents: list[list[int]], pad: int) -> Tensor:
    """Mean cross-entropy over the real tokens after the first."""
    ids, mask = pad_batch(documents, pad, next(model.parameters()).device)
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits[:, :-1]
    targets = ids[:, 1:].masked_fill(mask[:, 1:] == 0, IGNORED)
    return cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
