"""Learn only where unsure."""

from typing import Annotated

from pydantic import Field
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def window(logits: Tensor, labels: Tensor, progress: float, *, radius: Annotated[float, Field(gt=0, le=0.5)]) -> Tensor:
    """Cross-entropy on the examples it is not yet sure of (EleutherAI’s w2s).

    Σ over examples with max(f, 1−f) < ½ + `radius` of CE(f, weak), over the number of all: confidence window.

    Where the student is surer, labels no longer move it. Source: `confidence_window_loss` of EleutherAI's w2s
    (w2s/loss.py), whose radius is 0.15, or the median of |weak − ½| over all of the student's labels.
    """
    unsure = (logits.detach().sigmoid() - 0.5).abs() < radius
    return (binary_cross_entropy_with_logits(logits, labels, reduction="none") * unsure).mean()
