"""Learn only where unsure."""

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from w2s.params import Fraction


def window(logits: Tensor, labels: Tensor, progress: float, *, radius: Fraction) -> Tensor:
    """Σ over examples with max(f, 1−f) < ½ + `radius` of CE(f, weak), over the number of all: confidence window.

    Where the student is surer, labels no longer move it. Source: `confidence_window_loss` of EleutherAI's w2s.
    """
    unsure = (logits.detach().sigmoid() - 0.5).abs() < radius
    return (binary_cross_entropy_with_logits(logits, labels, reduction="none") * unsure).mean()
