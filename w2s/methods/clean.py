"""Cleaning: weak labels are relabelled or left out where probes of the student's own base features contradict them.

A probe sees standardised features, of the student's base as it was pretrained, and hardened weak labels (P(true) > ½),
and answers P(true) for every example without having seen that example's own label. Truth is never seen here.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from w2s.core.errors import UserError
from w2s.core.params import Fraction
from w2s.methods.part import Part, Passes, Phase, Train, Use
from w2s.training.passes import Pass, Plan

if TYPE_CHECKING:
    from w2s.training.job import Job

# Folds of the logistic probe, and its ridge beside the mean loss: ½ · PENALTY · ‖weights‖².
FOLDS = 5
PENALTY = 0.1
# Nearest examples that one is linked to in the topological graph.
LINKS = 5
# Nearest examples that vote on one.
VOTES = 20
PROBES = {
    "logistic": "logistic regressions on its own base features",
    "neighbours": "a vote of the nearest neighbours among its own base features",
    "topological": "the largest connected component of each class among its own base features (Wu et al., 2020)",
}


class Clean(Part):
    """Change the most suspicious labels, a fixed share of all."""

    by: Literal["logistic", "neighbours", "topological"] = Field(
        description="the probe: cross-fitted logistic regression; vote of the nearest neighbours; or TopoFilter, the "
        "largest connected component of each class (Wu et al., 2020)"
    )
    action: Literal["relabel", "filter"] = Field(description="suspicious examples get the probe's answer, or go")
    share: Fraction = Field(description="share of the labels taken to be wrong: how many are suspicious")
    phase: ClassVar[Phase] = Phase.LABELS
    on_truth: ClassVar[bool] = False

    @model_validator(mode="after")
    def _leave_something(self) -> Self:
        if self.action == "filter" and self.share == 1:
            raise ValueError("share: must be less than 1 with action: filter; nothing would be left to learn from")
        return self

    def check(self, use: Use) -> None:
        if not use.setting.PROBABILITIES:
            raise ValueError("not in generation: probes need one yes or no, not answers in words")

    def describe(self) -> str:
        verb = {"relabel": "relabels", "filter": "leaves out"}[self.action]
        return f"{verb} up to {self.share:.0%} of the weak labels, those most contradicted by {PROBES[self.by]}"

    def apply(self, job: "Job", train: Train) -> Any:
        from w2s.core.determinism import numpy_generator

        frozen = job.load(tune="head")
        features = job.setting.features(frozen, job.setting.encode(job.examples.inputs))
        del frozen
        assert features is not None  # `check` has refused settings without any
        rng = numpy_generator("clean", *job.rng_key)
        labels, kept = cleaned(features, job.examples.labels, self, rng)
        examples = replace(job.examples, inputs=job.examples.inputs.take(kept), labels=labels)
        return train(replace(job, examples=examples))

    def passes(self, plan: Plan, train: Passes) -> Iterator[Pass]:
        yield Pass(plan.model, plan.hparams, starts=1, read=plan.parts["student"])
        yield from train(plan)


def cleaned(
    features: np.ndarray, labels: np.ndarray, clean: Clean, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Features [N, d] and weak labels P(true) [N] to the labels to learn from [N'], and which examples these are [N'].

    The farther a label lies from the probe's answer, |label − answer|, the more suspicious it is; of equals, the first.
    The round(share · N) most suspicious get the answer as their label (`relabel`, all N stay) or are left out
    (`filter`). With the topological probe the graph says which are suspicious at all (see `_core`): if they are fewer
    than round(share · N), no more change. A single example has no others to judge it and stays as it is.
    """
    labels = labels.astype(np.float64)
    every = np.arange(len(labels))
    if len(labels) < 2:
        return labels, every
    from sklearn.preprocessing import StandardScaler  # takes a second to import
    from threadpoolctl import threadpool_limits

    features = StandardScaler().fit_transform(features.astype(np.float64))
    hard = labels > 0.5
    suspicious = everyone = np.full(len(labels), True)
    with threadpool_limits(1, user_api="blas"):  # the same bits on any number of cores; several are no faster
        match clean.by:
            case "logistic":
                answers = _logistic(features, hard, rng)
            case "neighbours":
                answers = _votes(features, hard, everyone)
            case "topological":
                core = _core(features, hard)
                answers = _votes(features, hard, core)
                suspicious = ~core | (np.abs(hard - answers) > 0.5)
    doubts = np.abs(labels - answers)[suspicious]
    worst = every[suspicious][np.argsort(-doubts, kind="stable")][: round(clean.share * len(labels))]
    if clean.action == "relabel":
        labels[worst] = answers[worst]
        return labels, every
    if len(worst) == len(labels):
        raise UserError(f"clean.share: {clean.share} filters out all {len(labels)} examples; lower it")
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
