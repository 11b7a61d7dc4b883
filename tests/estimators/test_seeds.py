"""Renderer seeds: which evaluations share one, under each policy."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch

import invopt
from invopt.core.estimator import Order
from invopt.core.seeds import FIRST_REFERENCE_SEED, SeedPolicy, SeedSource
from invopt.estimators import FiniteDifference, FunctionValue
from invopt.exceptions import UnknownNameError

from .test_unbiased import ESTIMATORS
from .z_tests import estimate, evaluator

X = np.array([0.4, -0.2])
P = torch.tensor([1.0, 2.0], dtype=torch.float64)
ALL = {**ESTIMATORS, "finite-difference": FiniteDifference(abs_step=0.1), "value": FunctionValue()}
SAMPLED = [key for key in ESTIMATORS if key != "hvp-optimal-independent"]


def record(estimator, rng=0):
    """Points and seeds of gradient and curvature, as the function received them."""
    seen = []

    def f(X, *, seed):
        seen.append((X.copy(), seed.copy()))
        return np.cos(X).sum(1)

    made = estimate(estimator, evaluator(f, 2, seeded=True), X, np.random.default_rng(rng))
    calls = len(seen)
    if Order.HESS in estimator.provides:
        assert made.hess.shape == (2, 2)
    if Order.HESSP in estimator.provides:
        made.hessp(P)
        made.hessp(-P)
    return seen[:calls], seen[calls:]


def seeds_of(seen):
    return np.concatenate([seed for _, seed in seen])


@pytest.mark.parametrize("policy", list(SeedPolicy))
@pytest.mark.parametrize("key", ALL)
def test_seeds_are_integers_below_those_of_references(key, policy):
    first, later = record(attrs.evolve(ALL[key], seeds=policy))
    seeds = seeds_of(first + later)
    assert seeds.dtype == np.int64
    if policy is SeedPolicy.FIXED:
        assert (seeds == 0).all()
    else:
        assert ((seeds >= 1) & (seeds < FIRST_REFERENCE_SEED)).all()


@pytest.mark.parametrize("key", ALL)
def test_per_iteration_means_one_seed_for_all_of_an_estimate(key):
    first, later = record(attrs.evolve(ALL[key], seeds="per_iteration"))
    assert len(set(seeds_of(first + later))) == 1
    other, _ = record(attrs.evolve(ALL[key], seeds="per_iteration"), rng=1)
    assert seeds_of(other)[0] != seeds_of(first)[0]


@pytest.mark.parametrize("key", ALL)
def test_fresh_means_that_no_two_share_one(key):
    first, later = record(attrs.evolve(ALL[key], seeds="fresh"))
    seeds = seeds_of(first + later)
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize("antithetic", [True, False], ids=["pairs", "single"])
@pytest.mark.parametrize("key", SAMPLED)
def test_halves_of_a_pair_share_one_and_pairs_do_not(key, antithetic):
    estimator = attrs.evolve(ESTIMATORS[key], n_samples=4, antithetic=antithetic)
    first, later = record(estimator)
    centred = first if Order.HESS not in estimator.provides else first + later
    for points, seeds in centred:
        if not antithetic:
            assert len(set(seeds)) == len(seeds)
            continue
        half = len(points) // 2
        np.testing.assert_allclose(points[:half] + points[half:], np.tile(2 * X, (half, 1)), atol=1e-12)
        np.testing.assert_array_equal(seeds[:half], seeds[half:])
        assert len(set(seeds)) == half


@pytest.mark.parametrize("key", ["hvp-optimal", "hvp-aggregate", "hvp-uniform"])
def test_both_gradients_of_a_difference_share_perturbations_and_seeds(key):
    estimator = attrs.evolve(ESTIMATORS[key], n_samples=4)
    _, later = record(estimator)
    (ahead, first), (behind, second) = later[:2]
    step = 2 * estimator.rel_step * estimator.sigma.start * P.numpy() / float(P.norm())
    np.testing.assert_allclose(ahead - behind, np.tile(step, (len(ahead), 1)), atol=1e-12)
    np.testing.assert_array_equal(first, second)
    # The next product has perturbations and seeds of its own.
    assert not set(seeds_of(later[:2])) & set(seeds_of(later[2:]))


def test_independent_gradients_of_a_difference_do_not():
    estimator = attrs.evolve(ESTIMATORS["hvp-optimal-independent"], n_samples=4)
    _, later = record(estimator)
    (ahead, first), (behind, second) = later[:2]
    assert not set(first) & set(second)
    assert np.ptp(ahead - behind, axis=0).min() > 0


def test_finite_differences_share_one_a_parameter():
    (near,), (far, corners) = record(FiniteDifference(abs_step=0.1))
    (_, near_seeds), (_, far_seeds), (_, corner_seeds) = near, far, corners
    assert near_seeds[0] == near_seeds[2] != near_seeds[1] == near_seeds[3]
    # Again for the diagonal of the Hessian, where noise cancels too.
    np.testing.assert_array_equal(far_seeds, near_seeds)
    assert len(set(corner_seeds)) == 1


def test_noise_common_to_a_pair_cancels():
    # The noise is a thousand times the signal, and depends on the seed alone.
    def f(X, *, seed):
        return X @ np.array([1.0, -1.0]) + 1000 * np.sin(seed)

    for key in ("fr22", "gradient-optimal", "hvp-aggregate", "shared", "spsa"):
        estimator = attrs.evolve(ESTIMATORS[key], n_samples=2000)
        made = estimate(estimator, evaluator(f, 2, seeded=True), X, np.random.default_rng(0))
        assert float(made.standard_error.max()) < 0.1, key
        made = estimate(
            attrs.evolve(estimator, seeds="fresh"), evaluator(f, 2, seeded=True), X, np.random.default_rng(0)
        )
        assert float(made.standard_error.min()) > 5, key


def test_draws_cover_the_range():
    drawn = SeedSource(SeedPolicy.FRESH, np.random.default_rng(0)).draw(100_000)
    assert drawn.min() >= 1
    assert drawn.min() < 2**31 * 1e-3
    assert 2**31 * 0.999 < drawn.max() < 2**31


class Few:
    """A generator with a much shorter period."""

    def __init__(self):
        self._rng = np.random.default_rng(0)

    def integers(self, low, high, size):
        return self._rng.integers(1, 200, size)


def test_fresh_seeds_differ_where_draws_do_not():
    source = SeedSource(SeedPolicy.FRESH, Few())
    drawn = np.concatenate([source.draw(40, 2), source.compare(30), source.repeat(10, 5)])
    assert len(set(drawn)) == len(drawn) == 160


@pytest.mark.parametrize("policy", list(SeedPolicy))
def test_what_is_compared_shares_a_seed_and_what_is_repeated_does_not(policy):
    source = SeedSource(policy, np.random.default_rng(0))
    compared = np.concatenate([source.compare(3), source.compare(2)])
    repeated = source.repeat(3, 2)
    assert len(set(compared)) == (5 if policy is SeedPolicy.FRESH else 1)
    assert len(set(repeated)) == {SeedPolicy.FIXED: 1, SeedPolicy.FRESH: 6}.get(policy, 3)
    if policy is not SeedPolicy.FRESH:
        np.testing.assert_array_equal(repeated[:3], repeated[3:])
    if policy is SeedPolicy.FIXED:
        assert not compared.any()
        assert not repeated.any()


def test_nothing_else_draws_seeds():
    """Seeds drawn elsewhere would ignore the policy."""
    for package in (invopt, invopt.estimators, invopt.optimizers, invopt.problems):
        for path in Path(package.__path__[0]).rglob("*.py"):
            if path.name != "seeds.py":
                assert not re.search(r"integers\([^)]*(FIRST_REFERENCE_SEED|2\*\*31\))", path.read_text()), path


def test_unknown_policy_is_refused_with_a_suggestion():
    with pytest.raises(UnknownNameError, match="per_pair"):
        FiniteDifference(seeds="per_pear")
