"""The performance gap recovered, PGR = (student − supervisor) / (ceiling − supervisor) (paper, section 3).

Over seeds it is a ratio of means, Σ (student − supervisor) / Σ (ceiling − supervisor), and not a mean of ratios: a seed
with a small gap would decide that one. Its interval is Fieller's: all ratios ρ for which
(student − supervisor) − ρ · (ceiling − supervisor), a difference of points, may be 0 by its t interval. It is bounded
just where the gap is clearly positive; elsewhere PGR is left undefined.

Chosen by simulation, 40,000 draws of each of 72 cases (5 and 10 seeds, gaps of 6 to 30 points, PGR .2 to .8, seeds or
examples dominating): where PGR was defined, Fieller's 95 % interval covered 93.9 to 95.9 %, that of the delta method
91.7 to 96.3 %.
"""

import numpy as np

from w2s.results.metrics import Array
from w2s.results.statistics import Estimate, estimate, t_quantile, variance


def pgr(student: Array, supervisor: Array, ceiling: Array, smallest_gap: float, confidence: float) -> Estimate:
    """PGR with its interval, from accuracies [seeds, 1 + COLUMNS].

    Undefined, with the reason, where the gap is under `smallest_gap`, or its interval reaches 0.
    """
    gain = student - supervisor
    gap = ceiling - supervisor
    observed = estimate(gap, confidence)
    if observed.value is None or observed.low is None or observed.high is None:
        return observed
    if observed.value < smallest_gap - 1e-9:  # 0.95 − 0.90 < 0.05 in floating point
        return Estimate(None, reason=f"gap of {_points(observed.value)} points is under {100 * smallest_gap:g}")
    if observed.low <= 0:
        within = f"{_points(observed.value)} [{_points(observed.low)}, {_points(observed.high)}] points"
        return Estimate(None, reason=f"gap is not clearly positive: {within}")
    # Where (gain − ρ · gap)² = t² · variance(gain − ρ · gap): a quadratic equation, a · ρ² − 2 · b · ρ + c = 0.
    mean_gain = float(gain[:, 0].mean())
    mean_gap = observed.value
    of_gap, freedom = variance(gap)
    covariance = (variance(gain + gap)[0] - variance(gain - gap)[0]) / 4
    squared = t_quantile(freedom, confidence) ** 2
    a = mean_gap**2 - squared * of_gap
    b = mean_gain * mean_gap - squared * covariance
    c = mean_gain**2 - squared * variance(gain)[0]
    half = np.sqrt(np.maximum(b**2 - a * c, 0))
    return Estimate(mean_gain / mean_gap, float((b - half) / a), float((b + half) / a))


def _points(difference: float) -> str:
    return f"{100 * difference:.2f}".replace("-", "−")


def linearised(student: Array, supervisor: Array, ceiling: Array) -> Array:
    """PGR seed by seed and block by block to first order, with the ratio of means as mean: [seeds, 1 + COLUMNS].

    So that PGRs can be compared within a seed (the delta method).
    """
    gain = student - supervisor
    gap = ceiling - supervisor
    mean_gap = gap[:, 0].mean()
    ratio = gain[:, 0].mean() / mean_gap
    return ratio + (gain - ratio * gap) / mean_gap  # type: ignore[no-any-return]
