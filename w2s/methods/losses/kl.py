"""Come near the labels' distribution."""

from torch import Tensor, special

from w2s.settings.binary import cross_entropy


def kl(logits: Tensor, labels: Tensor, progress: float) -> Tensor:
    """The divergence of its predictions from the weak labels, whose slope is that of cross-entropy.

    KL(weak ‖ f) = CE(f, weak) − H(weak).

    The entropy of the labels does not depend on the student: it learns what it learns by cross-entropy, and a loss of 0
    means that it says exactly what its supervisor says. Source: `kl_divergence_loss` of EleutherAI's w2s (w2s/loss.py).
    """
    return cross_entropy(logits, labels, progress) - (special.entr(labels) + special.entr(1 - labels)).mean()
