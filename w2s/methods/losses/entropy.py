"""Learn the labels, and grow sure."""

from torch import Tensor
from torch.nn.functional import logsigmoid

from w2s.core.params import Fraction, Positive
from w2s.settings.binary import cross_entropy


def entropy(logits: Tensor, labels: Tensor, progress: float, *, weight: Positive, warmup: Fraction) -> Tensor:
    """Cross-entropy and its own predictions’ entropy, so that it grows sure (Grandvalet & Bengio, 2004).

    CE(f, weak) + λ·H(f), with H(f) = −f·log f − (1−f)·log(1−f).

    λ rises linearly from 0 to `weight` over the first `warmup` of training. (The loss of this name in
    EleutherAI's w2s is another: its f is a constant target, so that its slope is (1−λ) times that of cross-entropy.)
    """
    share = min(1.0, progress / warmup) if warmup else 1.0
    f = logits.sigmoid()
    uncertainty = -(f * logsigmoid(logits) + (1 - f) * logsigmoid(-logits)).mean()
    return cross_entropy(logits, labels, progress) + share * weight * uncertainty
