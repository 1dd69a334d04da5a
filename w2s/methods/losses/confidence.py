"""Let the student grow sure of its own answers where it disagrees with its supervisor."""

from torch import Tensor

from w2s.core.params import Fraction
from w2s.settings.binary import cross_entropy


def confidence(logits: Tensor, labels: Tensor, progress: float, *, alpha_max: Fraction, warmup: Fraction) -> Tensor:
    """A loss that strengthens its confidence in its own predictions, also where they contradict the weak labels
    (paper, section 4.3.2).

    (1−α)·CE(f, weak) + α·CE(f, hardened f): the auxiliary confidence loss (paper, equation 1 and appendix A.4).

    The student's own answers are hardened at a threshold that keeps the weak labels' class balance in the batch, and
    are a target without gradient; α rises linearly from 0 to `alpha_max` over the first `warmup` of training.
    """
    alpha = alpha_max * min(1.0, progress / warmup) if warmup else alpha_max
    return (1 - alpha) * cross_entropy(logits, labels, progress) + alpha * cross_entropy(
        logits, hardened(logits, labels), progress
    )


def hardened(logits: Tensor, labels: Tensor) -> Tensor:
    """0/1 answers [batch], as many true as the batch's weak labels hold in sum: the largest logits."""
    true = int(labels.sum().round())
    answers = labels.new_zeros(len(labels))
    answers[logits.detach().argsort(descending=True, stable=True)[:true]] = 1
    return answers
