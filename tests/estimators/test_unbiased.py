"""Means of all sampled estimators against closed forms, for n = 1, 2, 5."""

from __future__ import annotations

import math

import attrs
import numpy as np
import pytest
import torch

from invopt.estimators import (
    FR22,
    SPSA,
    AggregateGradient,
    AggregateHessian,
    AggregateHVP,
    SharedSamples,
    SmoothedGradient,
    SmoothedHessian,
    SmoothedHVP,
)

from .closed_forms import NAMES, SIGMA, expected, make
from .z_tests import FAMILY, THRESHOLD, estimate, evaluator, over_repetitions, pooled, quantities, rejected, seed_of

ESTIMATORS = {
    "fr22": FR22(sigma=SIGMA),
    "spsa": SPSA(sigma=SIGMA),
    "gradient-optimal": SmoothedGradient(sigma=SIGMA),
    "gradient-aggregate": AggregateGradient(sigma=SIGMA),
    "gradient-uniform": SmoothedGradient(sigma=SIGMA, proposal="uniform"),
    "hessian-optimal": SmoothedHessian(sigma=SIGMA),
    "hessian-aggregate": AggregateHessian(sigma=SIGMA),
    "hessian-uniform": SmoothedHessian(sigma=SIGMA, proposal="uniform"),
    "hvp-optimal": SmoothedHVP(sigma=SIGMA),
    "hvp-optimal-independent": SmoothedHVP(sigma=SIGMA, common_samples=False),
    "hvp-aggregate": AggregateHVP(sigma=SIGMA),
    "hvp-uniform": SmoothedHVP(sigma=SIGMA, proposal="uniform"),
    "shared": SharedSamples(sigma=SIGMA),
    "shared-gaussian": SharedSamples(sigma=SIGMA, proposal="gaussian"),
    "shared-aggregate": SharedSamples(sigma=SIGMA, proposal="aggregate"),
}

# Samples of each element. Quadratics with antithetic pairs carry the power (see test_power): there 2 % off must show.
SAMPLES = {1: 100_000, 2: 100_000, 5: 40_000}
MANY_SAMPLES = {1: 1_000_000, 2: 400_000, 5: 40_000}
CHUNK = 10_000

# A uniform proposal in n dimensions has weights with a second moment of (12 / (2 sqrt(pi)))^n = 3.39^n: 444 for n = 5,
# of 800,000 samples 1,800 count. Its weights are skewed by 43 there, which multiplies the tail probability of a
# self-normalised mean at z by up to exp(43 z^3 / (3 sqrt(800,000))): one more unit of z makes up for that. One function
# has to do, and the power is that of 1,800 samples: it sees a lost factor, not 2 %, which n = 1 and 2 see.
HEAVY_SAMPLES = 800_000
HEAVY_THRESHOLD = THRESHOLD + 1


def is_heavy(key: str, n: int) -> bool:
    return key.endswith("uniform") and n == 5


CASES = [
    pytest.param(key, name, n, antithetic, id=f"{key}-{name}-{n}-{'pairs' if antithetic else 'single'}")
    for key in ESTIMATORS
    for name in NAMES
    for n in (1, 2, 5)
    for antithetic in (True, False)
    if not (is_heavy(key, n) and name != "waves")
]


def expectation(key, name, n):
    """Function, point, direction and the means to be tested."""
    f, x, p = make(name, n)
    mean = expected(ESTIMATORS[key], f, x, p)
    if key == "shared-aggregate" and n == 1:
        # Its density is 0 at 0, where the kernels of these are not: infinite variance for n = 1, as documented.
        mean = {"jac": mean["jac"]}
    return f, x, p, mean


def measure(estimator, f, x, p, samples, seed):
    """Pooled estimate from `samples` samples of each element."""
    objective = evaluator(f, len(x))
    rng = np.random.default_rng(seed)
    chunk = attrs.evolve(estimator, n_samples=min(samples, CHUNK))
    parts = [quantities(chunk, estimate(chunk, objective, x, rng), p) for _ in range(math.ceil(samples / CHUNK))]
    return pooled(parts)


def procedure(key, name, n, antithetic, estimator=None):
    """The test: which quantities are rejected, with their z. The estimator can be replaced by a faulty one."""
    f, x, p, mean = expectation(key, name, n)
    estimator = attrs.evolve(estimator or ESTIMATORS[key], antithetic=antithetic)
    samples = (MANY_SAMPLES if name == "quadratic" and antithetic else SAMPLES)[n]
    if is_heavy(key, n):
        samples = HEAVY_SAMPLES
    found = measure(estimator, f, x, p, samples, seed_of(key, name, n, antithetic))
    return rejected(found, mean, HEAVY_THRESHOLD if is_heavy(key, n) else THRESHOLD)


@pytest.mark.parametrize(("key", "name", "n", "antithetic"), CASES)
def test_mean_is_the_closed_form(key, name, n, antithetic):
    assert procedure(key, name, n, antithetic) == {}


# The baseline of SharedSamples couples samples: a wrong factor would show at few samples and hide among many.
FEW = 3
REPETITIONS = 1500
FEW_CASES = [
    pytest.param(key, n, antithetic, id=f"{key}-{n}-{'pairs' if antithetic else 'single'}")
    for key in ("shared", "shared-gaussian", "shared-aggregate")
    for n in (1, 2, 5)
    for antithetic in (True, False)
]


def few_samples_procedure(key, n, antithetic):
    """The test over many estimates from 3 samples each, for a function with an offset: errors from their scatter."""
    f, x, p, mean = expectation(key, "waves", n)
    offset = 2.0
    objective = evaluator(lambda X: f(X) + offset, n)
    if "fun" in mean:
        mean["fun"] = mean["fun"] + offset
    estimator = attrs.evolve(ESTIMATORS[key], n_samples=FEW, antithetic=antithetic)
    rng = np.random.default_rng(seed_of("few", key, n, antithetic))
    upper = np.triu_indices(n)
    direction = torch.from_numpy(p)
    values = {"fun": [], "jac": [], "hess": [], "hessp": []}
    for _ in range(REPETITIONS):
        record = estimate(estimator, objective, x, rng)
        values["fun"].append([record.fun])
        values["jac"].append(record.jac.numpy())
        if "hess" in mean:
            values["hess"].append(record.hess.numpy()[upper])
            values["hessp"].append(record.hessp(direction).numpy())
    return rejected({name: over_repetitions(np.array(values[name])) for name in mean}, mean)


@pytest.mark.parametrize(("key", "n", "antithetic"), FEW_CASES)
def test_mean_is_the_closed_form_from_three_samples(key, n, antithetic):
    assert few_samples_procedure(key, n, antithetic) == {}


@pytest.mark.parametrize("cls", [AggregateGradient, AggregateHessian, AggregateHVP])
def test_aggregate_class_is_its_parent_with_the_aggregate_proposal(cls):
    f, x, p = make("waves", 2)
    ours = cls(sigma=SIGMA, n_samples=5)
    parent = cls.__mro__[1](sigma=SIGMA, n_samples=5, proposal="aggregate")
    first, second = (
        quantities(e, estimate(e, evaluator(f, 2), x, np.random.default_rng(7)), p) for e in (ours, parent)
    )
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name].value, second[name].value)


def test_family_is_no_larger_than_the_false_alarm_rate_allows():
    cases = [case.values[:3] for case in CASES] + [(key, "waves", n) for key, n, _ in (c.values for c in FEW_CASES)]
    components = sum(mean.size for case in cases for mean in expectation(*case)[3].values())
    # The rest is for the other modules of this folder: samplers, losses of samples, standard errors.
    assert 2000 < components < FAMILY - 1500
