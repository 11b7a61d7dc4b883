"""Fig. 5 of the paper: variance of jac, hess and hessp against the number of samples, by proposal.

Run with ``pytest tests/benchmarks -k variance``; prints the table.

What is measured: the plain importance sampling of the paper (no antithetic pairs, no control variate; both gradients of
a product from the same perturbations, as in its eq. 23) and, beside it, antithetic pairs. The variance is that of the
whole quantity, the sum over its elements, at equal M: samples of each element for "optimal", of all elements together
for the others. "Optimal" therefore spends n times (jac, hessp) or n (n + 1) / 2 times (hess) the evaluations.

The function is a picture's loss in small: a ball of radius 1 that covers a target or does not (a discontinuity), on a
shading (a cosine along a skew direction), seen from a point inside, off centre.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
import torch
from rich.console import Console
from rich.table import Table
from scipy import stats

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
from invopt.evaluate.evaluator import CountingEvaluator
from invopt.problems import Function

SIGMA = 0.5
QUANTITIES = ("jac", "hess", "hessp")
PROPOSALS = ("optimal", "aggregate", "uniform")
# M, and how often each is repeated to see its variance.
REPETITIONS = {4: 1200, 16: 1000, 64: 600, 256: 300, 1024: 150}
# Two dimensions with and without pairs, and five without.
SETTINGS = [(2, False), (2, True), (5, False)]

# Estimators without a choice of the paper's proposals: for the table and the slope, in two dimensions.
OTHERS = {"FR22": FR22, "SPSA": SPSA, "SharedSamples": SharedSamples}
OTHER_LINES = [
    (2, antithetic, quantity, name)
    for antithetic in (False, True)
    for quantity, names in (("jac", OTHERS), ("hess", ["SharedSamples"]), ("hessp", ["SharedSamples"]))
    for name in names
]

# One false alarm in a million over all that is compared here: 37 slopes and 18 orderings at 5 sizes and overall.
COMPARISONS = 37 + 18 * 6
THRESHOLD = float(stats.norm.isf(1e-6 / COMPARISONS / 2))


def picture(X):
    """1 outside of the ball, 0 inside, and a shading."""
    skew = np.arange(X.shape[1]) % 2 + 1.0
    return (np.linalg.norm(X - 0.3, axis=1) > 1.0) + 0.3 * np.cos(X @ skew)


def estimator(quantity, proposal, m, antithetic):
    options = {"sigma": SIGMA, "n_samples": m, "antithetic": antithetic}
    if proposal in OTHERS:
        return OTHERS[proposal](**options)
    own = {"jac": SmoothedGradient, "hess": SmoothedHessian, "hessp": SmoothedHVP}
    aggregate = {"jac": AggregateGradient, "hess": AggregateHessian, "hessp": AggregateHVP}
    if proposal == "aggregate":
        return aggregate[quantity](**options)
    return own[quantity](proposal=proposal, **options)


class Line(NamedTuple):
    """One line of the figure."""

    variance: np.ndarray  # (sizes,)
    error: np.ndarray  # (sizes,), of the logarithm of the variance
    evaluations: np.ndarray  # (sizes,), of one estimate of the quantity alone

    def slope(self, smallest=0):
        """Of the logarithms from M = `smallest` on, weighted by their errors, and its standard error."""
        sizes = np.array(list(REPETITIONS))
        use = sizes >= smallest
        size, weight = np.log(sizes[use]), self.error[use] ** -2
        centred = size - np.average(size, weights=weight)
        precision = weight @ centred**2
        return float((weight * centred) @ np.log(self.variance[use]) / precision), float(precision**-0.5)

    @property
    def level(self):
        """Logarithm of the variance of a single sample, and its standard error."""
        weight = self.error**-2
        scaled = np.log(self.variance * np.array(list(REPETITIONS)))
        return float(np.average(scaled, weights=weight)), float(weight.sum() ** -0.5)


def measure(quantity, proposal, n, antithetic):
    problem = Function(fun=picture, x0=np.zeros(n), vectorized=True)
    objective = CountingEvaluator(problem.open(), problem.provides, torch.ones(n, dtype=torch.float64))
    x = torch.full((n,), 0.1, dtype=torch.float64)
    p = torch.linspace(1, 2, n, dtype=torch.float64)
    rng = np.random.default_rng([n, antithetic, QUANTITIES.index(quantity), [*PROPOSALS, *OTHERS].index(proposal)])
    variance, error, evaluations = [], [], []
    for m, repetitions in REPETITIONS.items():
        sampled = estimator(quantity, proposal, m, antithetic)
        values = []
        for _ in range(repetitions):
            record, _ = sampled.estimate(objective, x, sampled.init(problem), rng)
            before = objective.nfev
            value = record.jac if quantity == "jac" else record.hess if quantity == "hess" else record.hessp(p)
            spent = record.nfev if quantity == "jac" else objective.nfev - before
            values.append(value.flatten().numpy())
        squares = np.square(values - np.mean(values, axis=0)).sum(1) * repetitions / (repetitions - 1)
        variance.append(squares.mean())
        error.append(squares.std() / math.sqrt(repetitions) / squares.mean())
        evaluations.append(spent)
    return Line(np.array(variance), np.array(error), np.array(evaluations))


@pytest.fixture(scope="module")
def figure():
    """All lines, by setting, quantity and proposal."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    wanted = [(*s, quantity, proposal) for s in SETTINGS for quantity in QUANTITIES for proposal in PROPOSALS]
    lines = {line: measure(line[2], line[3], *line[:2]) for line in wanted + OTHER_LINES}
    torch.set_num_threads(threads)
    return lines


def test_variance_table(figure, capsys):
    table = Table(title="Fig. 5: variance, summed over elements, against samples M")
    for name in ("n", "pairs", "quantity", "proposal", *(f"M={m}" for m in REPETITIONS), "slope", "vs optimal"):
        table.add_column(name, justify="left" if name in ("quantity", "proposal") else "right", no_wrap=True)
    table.add_column("evaluations", justify="right", no_wrap=True)
    for (n, antithetic, quantity, proposal), line in figure.items():
        slope, slope_error = line.slope()
        ratio = math.exp(line.level[0] - figure[n, antithetic, quantity, "optimal"].level[0])
        table.add_row(
            str(n),
            "yes" if antithetic else "no",
            quantity,
            proposal,
            *(f"{v:.2e}" for v in line.variance),
            f"{slope:.3f} ± {slope_error:.3f}",
            f"{ratio:.2f}",
            f"{line.evaluations[0] // min(REPETITIONS)} M",
            end_section=proposal in (PROPOSALS[-1], "SharedSamples"),
        )
    with capsys.disabled():
        Console(width=160).print("", table)


@pytest.mark.parametrize(("n", "antithetic", "quantity", "proposal"), OTHER_LINES)
def test_variance_of_the_others_falls_likewise(figure, n, antithetic, quantity, proposal):
    # The baseline of shared samples adds terms of order 1 / M^2, which have gone by M = 64.
    slope, error = figure[n, antithetic, quantity, proposal].slope(64 if proposal == "SharedSamples" else 0)
    assert abs(slope + 1) < THRESHOLD * error
    assert THRESHOLD * error < 0.3


def is_heavy(n, proposal):
    """Too few of a uniform proposal's samples count for n = 5 to know the error of a measured variance."""
    return n == 5 and proposal == "uniform"


@pytest.mark.parametrize("proposal", PROPOSALS)
@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize(("n", "antithetic"), SETTINGS)
def test_variance_falls_as_one_over_samples(figure, n, antithetic, quantity, proposal):
    if is_heavy(n, proposal):
        # Seen with bare eyes only: over a factor of 256 in M.
        variance = figure[n, antithetic, quantity, proposal].variance
        assert 256 / 4 < variance[0] / variance[-1] < 256 * 4
        return
    slope, error = figure[n, antithetic, quantity, proposal].slope()
    assert abs(slope + 1) < THRESHOLD * error
    # And the test tells 1 / M from anything much slower or faster.
    assert THRESHOLD * error < 0.15


@pytest.mark.parametrize("quantity", QUANTITIES)
@pytest.mark.parametrize(("n", "antithetic"), SETTINGS)
def test_variance_of_optimal_is_below_aggregate_is_below_uniform(figure, n, antithetic, quantity):
    optimal, aggregate, uniform = (figure[n, antithetic, quantity, proposal] for proposal in PROPOSALS)

    def excess(above, below):
        """How many standard errors the one lies above the other, overall and at each M."""
        overall = (above.level[0] - below.level[0]) / math.hypot(above.level[1], below.level[1])
        each = np.log(above.variance / below.variance) / np.hypot(above.error, below.error)
        return overall, each

    # The aggregate is not much worse than the optimum: at a single M the difference may drown, overall it must show.
    overall, each = excess(aggregate, optimal)
    assert (each > -THRESHOLD).all()
    assert overall > 3
    # Uniform is worse by so much that it shows at each M.
    overall, each = excess(uniform, aggregate)
    assert overall > THRESHOLD
    assert (uniform.variance > 3 * aggregate.variance).all()
