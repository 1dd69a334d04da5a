"""Learn most from the labels that the supervisor is sure of."""

from torch import Tensor, finfo, float32
from torch.nn.functional import binary_cross_entropy_with_logits


def weighted(logits: Tensor, labels: Tensor, progress: float) -> Tensor:
    """Cross-entropy in which an example counts the more, the surer its supervisor is.

    Σ w·CE(f, weak) / Σ w over the batch, with w = |2·weak − 1|: 0 where the supervisor is undecided, 1 for hard labels.
    """
    weights = (2 * labels - 1).abs()
    total = (binary_cross_entropy_with_logits(logits, labels, reduction="none") * weights).sum()
    return total / weights.sum().clamp(finfo(float32).eps)
