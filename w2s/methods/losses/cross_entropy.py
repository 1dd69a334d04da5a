"""Learn the labels as they are."""

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def cross_entropy(logits: Tensor, labels: Tensor, progress: float) -> Tensor:
    """CE(f, weak) with soft labels: −w·log f − (1−w)·log(1−f) (paper, section 4)."""
    return binary_cross_entropy_with_logits(logits, labels)
