import numpy as np

from w2s.params import Clean


def cleaned(
    features: np.ndarray, labels: np.ndarray, how: Clean, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    return labels, np.arange(len(labels))
