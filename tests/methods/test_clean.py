"""Cleaning finds flipped labels, changes as many as `share` says, and lets no example judge itself."""

from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from w2s.core.errors import UserError
from w2s.core.validation import validate
from w2s.methods.clean import LINKS, VOTES, Clean, cleaned

PROBES = ["logistic", "neighbours", "topological"]
ACTIONS = ["relabel", "filter"]
Array = np.ndarray
Cleaned = tuple[Array, Array]

each_probe = pytest.mark.parametrize("by", PROBES)
each_action = pytest.mark.parametrize("action", ACTIONS)
seeds = st.integers(0, 10_000)


def clean(features: Array, labels: Array, by: str, action: str, share: float, seed: int = 0) -> Cleaned:
    part = validate(Clean, {"by": by, "action": action, "share": share}, "here")
    return cleaned(features, labels, part, np.random.default_rng(seed))


def answers(features: Array, labels: Array, by: str) -> Array:
    """The probe's answer for every example: all are relabelled."""
    return clean(features, labels, by, "relabel", 1.0)[0]


def errors(labels: Array, truth: Array) -> float:
    return float(((labels > 0.5) != truth).mean())


def clusters(seed: int, size: int = 400, flipped: float = 0.2) -> tuple[Array, Array, Array]:
    """Two overlapping clouds on very different scales: features, truth, and weak labels with an exact share flipped."""
    rng = np.random.default_rng(seed)
    truth = rng.random(size) < 0.5
    features = rng.standard_normal((size, 6)) + np.where(truth, 1.0, -1.0)[:, None]
    wrong = np.isin(np.arange(size), rng.choice(size, round(flipped * size), replace=False))
    weak = np.where(truth != wrong, 1.0, 0.0) * 0.6 + 0.4 * rng.random(size)
    return features * 10.0 ** np.arange(-3, 3), truth, weak


def noise(seed: int, size: int) -> tuple[Array, Array]:
    """Features without ties, and weak labels that have nothing to do with them."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((size, 3)), rng.random(size)


def nearest(features: Array, count: int, among: Array) -> Array:
    """By brute force: every pair's distance, and a plain sort."""
    spread = features.std(0)
    scaled = (features - features.mean(0)) / np.where(spread > 0, spread, 1)
    found = []
    for one in range(len(scaled)):
        others = [other for other in range(len(scaled)) if other != one and among[other]]
        others.sort(key=lambda other: (((scaled[one] - scaled[other]) ** 2).sum(), other))
        found.append(others[: min(count, among.sum() - 1)])
    return np.array(found)


@each_probe
@pytest.mark.parametrize("seed", range(3))
def test_fewer_errors(by: str, seed: int) -> None:
    features, truth, weak = clusters(seed)
    assert errors(weak, truth) == 0.2
    relabelled, _ = clean(features, weak, by, "relabel", 0.2)
    filtered, kept = clean(features, weak, by, "filter", 0.2)
    assert errors(relabelled, truth) < 0.06
    assert errors(filtered, truth[kept]) < 0.04
    rng = np.random.default_rng(seed)
    at_random = weak.copy()
    at_random[rng.choice(400, 80, replace=False)] = rng.random(80)
    assert errors(at_random, truth) > 0.18
    left = rng.choice(400, 320, replace=False)
    assert errors(weak[left], truth[left]) > 0.16


@given(seeds, st.integers(2, 60), st.floats(0, 0.99), st.sampled_from(PROBES))
@settings(max_examples=60, deadline=None)
def test_share_is_a_count(seed: int, size: int, share: float, by: str) -> None:
    features, weak = noise(seed, size)
    count = round(share * size)
    relabelled, everyone = clean(features, weak, by, "relabel", share)
    np.testing.assert_array_equal(everyone, np.arange(size))
    changed = np.flatnonzero(relabelled != weak)
    if by != "topological":
        probed = answers(features, weak, by)
        assert len(changed) <= count  # a label may be what the probe says
        np.testing.assert_array_equal(relabelled[changed], probed[changed])
        doubts = np.abs(weak - probed)
        expected = np.sort(sorted(range(size), key=lambda index: (-doubts[index], index))[count:])
    if count == size:  # of few examples, or of suspicious ones only
        return
    filtered, kept = clean(features, weak, by, "filter", share)
    np.testing.assert_array_equal(filtered, weak[kept])
    assert not set(changed) & set(kept)
    if by == "topological":
        assert len(kept) >= size - count
    else:
        np.testing.assert_array_equal(kept, expected)


@given(seeds, st.integers(2, 50))
@settings(max_examples=30, deadline=None)
def test_neighbours_are_those_of_brute_force(seed: int, size: int) -> None:
    features, weak = noise(seed, size)
    near = nearest(features, VOTES, np.full(size, True))
    np.testing.assert_allclose(answers(features, weak, "neighbours"), (weak > 0.5)[near].mean(1))


def test_of_equally_near_ones_the_first_vote() -> None:
    """On a lattice most distances are equal, and none comes out exactly."""
    points = np.stack(np.divmod(np.arange(144), 12), 1)
    hard = np.random.default_rng(0).random(144) < 0.5
    apart = ((points[:, None] - points) ** 2).sum(-1) + 1000 * np.eye(144, dtype=int)
    expected = hard[np.argsort(apart, kind="stable")[:, :VOTES]].mean(1)
    np.testing.assert_array_equal(answers(points / 7, hard.astype(float), "neighbours"), expected)


def test_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    def judge(features: Array, hard: Array, rng: np.random.Generator) -> Array:
        threads.extend(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")
        return hard

    monkeypatch.setattr("w2s.methods.clean._logistic", judge)
    with threadpool_limits(2, user_api="blas"):
        answers(*noise(0, 10), "logistic")
    assert set(threads) == {1}


@given(seeds, st.integers(2, 50), st.sampled_from([0.05, 0.2, 0.9]))
@settings(max_examples=60, deadline=None)
def test_topology_is_that_of_a_plain_graph(seed: int, size: int, share: float) -> None:
    features, weak = noise(seed, size)
    hard = weak > 0.5
    graph = nx.Graph()
    graph.add_nodes_from(range(size))
    for one, others in enumerate(nearest(features, LINKS, np.full(size, True))):
        graph.add_edges_from((one, other) for other in others if hard[one] == hard[other])
    core = np.full(size, False)
    for side in (True, False):
        parts = [part for part in nx.connected_components(graph) if hard[min(part)] == side]
        core[list(max(parts, key=lambda part: (len(part), -min(part)), default=[]))] = True
    probed = hard[nearest(features, VOTES, core)].mean(1)
    outvoted = np.where(hard, probed < 0.5, probed > 0.5)
    suspicious = [index for index in range(size) if not core[index] or outvoted[index]]
    worst = sorted(suspicious, key=lambda index: (-abs(weak[index] - probed[index]), index))[: round(share * size)]
    expected = weak.copy()
    expected[worst] = probed[worst]
    np.testing.assert_allclose(clean(features, weak, "topological", "relabel", share)[0], expected)
    if len(worst) < size:
        kept = clean(features, weak, "topological", "filter", share)[1]
        np.testing.assert_array_equal(kept, np.delete(np.arange(size), worst))


@each_probe
def test_topology_changes_only_what_is_suspicious(by: str) -> None:
    """Two clean clouds far apart: only the graph knows that nothing is wrong, whatever `share` says."""
    features, truth, _ = clusters(0, 100, flipped=0)
    features += 1000 * features.std(0) * truth[:, None]
    kept = clean(features, truth.astype(float), by, "filter", 0.3)[1]
    assert len(kept) == (100 if by == "topological" else 70)


@each_probe
@pytest.mark.parametrize("lone", [0, 7, 99])
def test_a_lone_flip_is_judged_by_others(by: str, lone: int) -> None:
    features, truth, _ = clusters(1, 100, flipped=0)
    features += 20 * features.std(0) * truth[:, None]
    weak = np.where(np.arange(100) == lone, ~truth, truth).astype(float)
    relabelled, _ = clean(features, weak, by, "relabel", 0.01)
    assert errors(relabelled, truth) == 0
    np.testing.assert_array_equal(np.flatnonzero(relabelled != weak), [lone])
    np.testing.assert_array_equal(clean(features, weak, by, "filter", 0.01)[1], np.delete(np.arange(100), lone))


@given(seeds, st.integers(0, 39), st.sampled_from(["logistic", "neighbours"]))
@settings(max_examples=40, deadline=None)
def test_no_label_changes_its_own_answer(seed: int, index: int, by: str) -> None:
    features, weak = noise(seed, 40)
    other = weak.copy()
    other[index] = 1 - other[index]
    assert answers(features, weak, by)[index] == answers(features, other, by)[index]


def test_logistic_folds_are_judged_by_the_rest_alone() -> None:
    """Examples with one fate share a fold: their labels sway all others, and none of themselves."""
    features, weak = noise(3, 50)
    before = answers(features, weak, "logistic")
    fold = np.flatnonzero(answers(features, np.where(np.arange(50) == 0, 1 - weak, weak), "logistic") == before)
    assert len(fold) == 10
    weak[fold] = 1 - weak[fold]
    after = answers(features, weak, "logistic")
    np.testing.assert_array_equal(after == before, np.isin(np.arange(50), fold))


@each_action
@given(seed=seeds, by=st.sampled_from(PROBES), share=st.floats(0, 0.9))
@settings(max_examples=25, deadline=None)
def test_the_order_of_examples_does_not_matter(action: str, seed: int, by: str, share: float) -> None:
    features, _, weak = clusters(seed, 60)  # of noise, components may be equal in size
    order = np.random.default_rng(seed).permutation(60)
    labels, kept = clean(features, weak, by, action, share)
    shuffled, kept_of_shuffled = clean(features[order], weak[order], by, action, share)
    np.testing.assert_array_equal(np.sort(order[kept_of_shuffled]), kept)
    back = np.argsort(order[kept_of_shuffled])
    np.testing.assert_allclose(shuffled[back], labels, rtol=1e-6)


@each_probe
@each_action
def test_same_again_and_inputs_stay(by: str, action: str) -> None:
    features, _, weak = clusters(5, 120)
    given_features = features.copy()
    given_weak = weak.copy()
    for some, others in zip(*(clean(features, weak, by, action, 0.3, seed=9) for _ in range(2)), strict=True):
        np.testing.assert_array_equal(some, others)
    np.testing.assert_array_equal(features, given_features)
    np.testing.assert_array_equal(weak, given_weak)


@each_probe
@each_action
def test_scales_do_not_matter(by: str, action: str) -> None:
    features, _, weak = clusters(6, 120)
    scaled = features * 2.0 ** np.arange(6) + 8
    for some, others in zip(*(clean(x, weak, by, action, 0.3) for x in (features, scaled)), strict=True):
        np.testing.assert_allclose(some, others, rtol=1e-6)


@each_probe
@pytest.mark.parametrize("side", [0.0, 1.0])
def test_one_class_only_has_nothing_to_doubt(by: str, side: float) -> None:
    features, _ = noise(0, 30)
    labels = np.full(30, side)
    np.testing.assert_array_equal(clean(features, labels, by, "relabel", 0.4)[0], labels)
    # Of equals the first; one that lies apart is suspicious to the graph, but here none does.
    assert clean(features, labels, by, "filter", 0.4)[1].tolist() == list(range(0 if by == "topological" else 12, 30))


@each_probe
@each_action
@pytest.mark.parametrize("size", [0, 1])
def test_none_and_one_stay(by: str, action: str, size: int) -> None:
    features, weak = noise(0, size)
    labels, kept = clean(features, weak, by, action, 0.9)
    np.testing.assert_array_equal(labels, weak)
    np.testing.assert_array_equal(kept, np.arange(size))


@pytest.mark.parametrize("by", ["logistic", "neighbours"])
def test_two_judge_each_other(by: str) -> None:
    assert answers(np.array([[1.0], [2.0]]), np.array([0.1, 0.8]), by).tolist() == [1, 0]


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_constant_features(value: float) -> None:
    """No example is nearer than another: the first ones vote, and a regression knows the frequencies alone."""
    features = np.full((50, 3), value)
    _, weak = noise(1, 50)
    hard = weak > 0.5
    expected = [np.delete(hard, index)[:VOTES].mean() for index in range(50)]
    np.testing.assert_allclose(answers(features, weak, "neighbours"), expected)
    expected = [hard[np.arange(50) % 5 != index % 5].mean() for index in range(50)]
    np.testing.assert_allclose(answers(features, weak, "logistic"), expected, atol=1e-3)
    assert len(clean(features, weak, "topological", "filter", 0.1)[1]) >= 45


@each_probe
def test_half_precision_will_do(by: str) -> None:
    features, truth, weak = clusters(2)
    relabelled, _ = clean((features / features.std(0)).astype(np.float16), weak.astype(np.float32), by, "relabel", 0.2)
    assert errors(relabelled, truth) < 0.06


def refused(attempt: Callable[[], object]) -> str:
    with pytest.raises(UserError) as error:
        attempt()
    return str(error.value)


def test_leaving_nothing_is_refused() -> None:
    features, weak = noise(0, 4)
    message = refused(lambda: clean(features, weak, "neighbours", "filter", 0.9))
    assert message == "clean.share: 0.9 filters out all 4 examples; lower it"
    message = refused(lambda: clean(features, weak, "neighbours", "filter", 1.0))
    assert message == (
        "here: top level.share: must be less than 1 with action: filter; nothing would be left to learn from"
    )
