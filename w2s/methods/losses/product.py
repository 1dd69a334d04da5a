"""Learn what supervisor and student believe together."""

from torch import Tensor

from w2s.core.params import Positive
from w2s.settings.binary import cross_entropy


def product(logits: Tensor, labels: Tensor, progress: float, *, weak: Positive, own: Positive) -> Tensor:
    """Cross-entropy against the normalised product of the weak label and its own prediction (the paper’s public code).

    CE(f, t) with t ∝ weak^`weak` · f^`own`, normalised over yes and no and without gradient.

    t has log-odds `weak`·logit(weak) + `own`·z, and is a hard label where one is given. Source: `product_loss_fn` of
    the paper's public code (openai/weak-to-strong, weak_to_strong/loss.py; both 1, and a warm-up it never uses).
    """
    target = (weak * labels.logit() + own * logits.detach()).sigmoid()
    return cross_entropy(logits, target, progress)
