"""Weak labels mended or left out where probes of the student's own features, frozen as pretrained, contradict them.

A probe sees standardised features and hardened weak labels (P(true) > ½), and answers P(true) for every example without
having seen that example's own label. Truth is never seen here.
"""

import numpy as np
from threadpoolctl import threadpool_limits

from w2s.core.errors import UserError
from w2s.core.params import Clean

FOLDS = 5  # of the logistic probe
PENALTY = 0.1  # its ridge, beside the mean loss: ½ · PENALTY · ‖weights‖²
LINKS = 5  # nearest examples that one is linked to in the topological graph
VOTES = 20  # nearest examples that vote on one


def cleaned(
    features: np.ndarray, labels: np.ndarray, how: Clean, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Features [N, d] and weak labels P(true) [N] to the labels to learn from [N'], and which examples these are [N'].

    The farther a label lies from the probe's answer, |label − answer|, the more suspicious it is; of equals, the first.
    The round(share · N) most suspicious get the answer as their label (`relabel`, all N stay) or are left out
    (`filter`). With the topological probe the graph says which are suspicious at all (see `_core`): if they are fewer
    than round(share · N), no more change. A single example has no others to judge it and stays as it is.
    """
    labels, every = labels.astype(np.float64), np.arange(len(labels))
    if len(labels) < 2:
        return labels, every
    from sklearn.preprocessing import StandardScaler  # takes a second to import

    features, hard = StandardScaler().fit_transform(features.astype(np.float64)), labels > 0.5
    suspicious = everyone = np.full(len(labels), True)
    with threadpool_limits(1, user_api="blas"):  # the same bits on any number of cores; several are no faster
        match how.by:
            case "logistic":
                answers = _logistic(features, hard, rng)
            case "neighbours":
                answers = _votes(features, hard, everyone)
            case "topological":
                core = _core(features, hard)
                answers = _votes(features, hard, core)
                suspicious = ~core | (np.abs(hard - answers) > 0.5)
    doubts = np.abs(labels - answers)[suspicious]
    worst = every[suspicious][np.argsort(-doubts, kind="stable")][: round(how.share * len(labels))]
    if how.action == "relabel":
        labels[worst] = answers[worst]
        return labels, every
    if len(worst) == len(labels):
        raise UserError(f"clean.share: {how.share} filters out all {len(labels)} examples; lower it")
    kept = np.delete(every, worst)
    return labels[kept], kept


def _logistic(features: np.ndarray, hard: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """P(true) [N] by logistic regressions, each fitted on all folds but the one it answers for.

    Examples are dealt to the folds in their order along a random direction of the features, so that where they stand
    in the file does not matter. If all other folds say the same, that is the answer.
    """
    from sklearn.linear_model import LogisticRegression

    order = np.argsort(features @ rng.standard_normal(features.shape[1]), kind="stable")
    answers = np.empty(len(hard))
    for fold in range(min(FOLDS, len(hard))):
        held = order[fold::FOLDS]
        rest = order[np.arange(len(order)) % FOLDS != fold]
        if hard[rest].all() or not hard[rest].any():
            answers[held] = hard[rest[0]]
            continue
        probe = LogisticRegression(C=1 / (PENALTY * len(rest)), max_iter=1000)
        answers[held] = probe.fit(features[rest], hard[rest]).predict_proba(features[held])[:, 1]
    return answers


def _votes(features: np.ndarray, hard: np.ndarray, judges: np.ndarray) -> np.ndarray:
    """Share of true labels [N] among the nearest `VOTES` other examples that are judges [N]; all of them if fewer."""
    return hard[_nearest(features, VOTES, judges)].mean(axis=1)


def _core(features: np.ndarray, hard: np.ndarray) -> np.ndarray:
    """Which examples [N] lie in the largest connected component of their own class (Wu et al., 2020, TopoFilter).

    Linked are examples of one class, one of which is among the nearest `LINKS` of the other, both classes counted. Of
    equal components, the one with the first example. Suspicious is what lies outside, and what is peripheral: inside,
    but outvoted by the nearest examples inside (their ζ-filtering, ζ = ½). These nearest inside also give the answer
    that a suspicious example is relabelled to, and rank the suspicious where they are more than `share` allows; in
    EleutherAI's w2s, whose topofilter drops all outside whatever the share, they fill up to it.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    near = _nearest(features, LINKS, np.full(len(hard), True))
    one, other = np.nonzero(hard[near] == hard[:, None])
    pairs = one, near[one, other]
    graph = coo_array((np.ones(len(one)), pairs), shape=(len(hard), len(hard)))
    _, component = connected_components(graph.tocsr(), directed=False)  # numbered by their first example
    largest = [np.bincount(component[hard == side]).argmax() for side in np.unique(hard)]
    return np.isin(component, largest)


def _nearest(features: np.ndarray, count: int, among: np.ndarray) -> np.ndarray:
    """The nearest `count` others of those `among` [N], or as many as there are: [N, k]; of equals, the first."""
    from sklearn.metrics import pairwise_distances_chunked

    count = min(count, among.sum() - 1)

    def ranked(distances: np.ndarray, start: int) -> np.ndarray:
        distances = distances.astype(np.float32)  # equals are equal, whichever way they were rounded
        distances[:, ~among] = np.inf
        np.fill_diagonal(distances[:, start:], np.inf)  # not itself
        return np.argsort(distances, axis=1, kind="stable")[:, :count]

    return np.concatenate(list(pairwise_distances_chunked(features, reduce_func=ranked, working_memory=64)))
