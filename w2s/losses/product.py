"""Learn what supervisor and student believe together."""

from torch import Tensor

from w2s.losses.cross_entropy import cross_entropy
from w2s.params import Positive


def product(logits: Tensor, labels: Tensor, progress: float, *, weak: Positive, own: Positive) -> Tensor:
    """CE(f, t) with t ∝ weak^`weak` · f^`own`, normalised over yes and no and without gradient.

    t has log-odds `weak`·logit(weak) + `own`·z. Source: `product_loss_fn` of the paper's public code.
    """
    target = (weak * labels.logit(eps=1e-6) + own * logits.detach()).sigmoid()
    return cross_entropy(logits, target, progress)
