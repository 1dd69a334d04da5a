"""Settle on one side where the labels hesitate."""

from torch import Tensor, finfo, float32
from torch.nn.functional import logsigmoid

EPSILON = finfo(float32).eps


def reverse_kl(logits: Tensor, labels: Tensor, progress: float) -> Tensor:
    """The divergence of the weak labels from its predictions: the reverse of what cross-entropy minimises.

    KL(f ‖ weak) = f·log(f / weak) + (1−f)·log((1−f) / (1−weak)), averaged.

    Its slope in z is f·(1−f)·(z − logit(weak)): an example on which the student is sure moves it little, whatever the
    label. Hard labels would be infinitely far from any prediction, so labels are kept within [ε, 1−ε], ε = 2⁻²³.
    """
    weak = labels.clamp(EPSILON, 1 - EPSILON)
    f = logits.sigmoid()
    true = f * (logsigmoid(logits) - weak.log())
    false = (1 - f) * (logsigmoid(-logits) - (-weak).log1p())
    return (true + false).mean()
