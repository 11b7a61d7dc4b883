"""Contract checks of estimators."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
import torch
from torch import Tensor

from invopt.core.estimator import Estimate, Estimator, Measurement, Order
from invopt.core.objective import Capability
from invopt.core.registry import find
from invopt.evaluate.evaluator import CountingEvaluator
from invopt.testing.quadratic import HESS, START, Counting
from invopt.testing.statistics import assert_mean

__all__ = [
    "estimator_counts_every_call",
    "estimator_is_repeatable",
    "estimator_is_unbiased_on_a_quadratic",
    "estimator_provides_what_it_says",
]

# Estimates whose mean is tested: enough for it to be normal, see `assert_mean`.
_ESTIMATES = 400
# Samples of an estimator that is not unbiased, and the difference that they may leave.
_SAMPLES_IF_BIASED, _EXACT_WITHIN = 200, 1e-3
# Estimates that differ less than this have no noise, and must be exact to rounding: that of differences of values,
# which divide the rounding of a value by a small step.
_NO_SPREAD, _DIFFERENCE_ROUNDING = 1e-6, 1e-5


# Not 1, so that a factor of sigma that is missing shows.
_SIGMA = 0.5


def _never(x: object) -> float:
    """Stand in for a function.

    An estimator is handed the problem to look at, not to evaluate.
    """
    raise AssertionError("an estimator must evaluate through the evaluator that it is given")


def _estimate(estimator: Estimator, seed: int) -> tuple[Estimate, Counting]:
    objective = Counting()
    provides = Capability.FUN | Capability.JAC | Capability.HESS | Capability.RESIDUALS | Capability.SIDES
    evaluator = CountingEvaluator(objective, provides, torch.ones(2, dtype=torch.float64))
    state = estimator.init(find("problems", "function")(fun=_never, x0=[2.0, -1.0], sigma=_SIGMA))
    found: Any = estimator.estimate(evaluator, START, state, np.random.default_rng(seed))
    is_pair = isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], Estimate)
    assert is_pair, f"estimate must return an Estimate and the next state, got {type(found).__name__}"
    return found[0], objective


def estimator_provides_what_it_says(estimator: Estimator) -> None:
    """Every order in `provides` is in the estimate.

    The shapes are (n,) and (n, n), the standard errors >= 0.
    """
    provides = getattr(estimator, "provides", None)
    assert isinstance(provides, Order), f"provides must be an Order, such as Order.FUN | Order.JAC: {provides!r}"
    estimate, _ = _estimate(estimator, 0)
    assert np.isfinite(estimate.fun), "fun must be finite"
    if provides & (Order.HESS | Order.HESSP):
        promised = estimate.hessian is not None or (estimate.product is not None and Order.HESS not in provides)
        assert promised, "an estimate that provides HESS or HESSP needs 'hessian', or for HESSP alone 'product'"
    parts: list[tuple[Tensor | None, Tensor | None, tuple[int, ...]]] = []
    if Order.JAC in provides:
        parts.append((estimate.jac, estimate.standard_error, (2,)))
    if Order.HESS in provides:
        parts.append((estimate.hess, estimate.hess_standard_error, (2, 2)))
    if Order.HESSP in provides:
        product: Measurement = estimate.measure_hessp(START)
        parts.append((product.value, product.standard_error, (2,)))
    for value, error, shape in parts:
        assert value is not None, "a promised derivative is missing"
        assert error is not None, "a derivative has no standard error"
        for part in (value, error):
            kind = f"{type(part).__name__} of {getattr(part, 'dtype', None)}"
            sound = isinstance(part, Tensor) and part.dtype == torch.float64
            assert sound, f"a derivative and its standard error must be tensors of float64, got {kind}"
        assert value.shape == error.shape == shape, f"shape {tuple(value.shape)} instead of {shape}"
        assert bool((error >= 0).all()), "standard errors must be >= 0"


def estimator_counts_every_call(estimator: Estimator) -> None:
    """`cost`, `hess_cost`, `hessp_cost` and `nfev` equal the evaluations made."""
    estimate, objective = _estimate(estimator, 0)
    assert objective.nfev == estimate.nfev == estimator.cost(2), f"{objective.nfev} evaluations, not {estimate.nfev}"
    if Order.HESSP in estimator.provides and Order.HESS not in estimator.provides:
        estimate.hessp(START)
        assert objective.nfev == estimator.cost(2) + estimator.hessp_cost(2), "hessp_cost is wrong"
    if Order.HESS in estimator.provides:
        _ = estimate.hess
        assert objective.nfev == estimator.cost(2) + estimator.hess_cost(2), "hess_cost is wrong"


def estimator_is_repeatable(estimator: Estimator) -> None:
    """Equal rngs give equal bits; x is not modified."""
    before = START.clone()
    first, second = _estimate(estimator, 5)[0], _estimate(estimator, 5)[0]
    assert first.fun == second.fun, "equal rngs must give equal values"
    if first.jac is not None:
        assert second.jac is not None
        assert torch.equal(first.jac, second.jac), "equal rngs must give equal gradients"
    assert torch.equal(before, START), "an estimator must not modify x"


def estimator_is_unbiased_on_a_quadratic(estimator: Estimator) -> None:
    """The mean of 400 gradients (Hessians) of a quadratic is the exact one.

    By a z-test with a false-alarm rate of 1e-6 each.


    Smoothing of any sigma adds a constant to a quadratic and does not change its derivatives. An estimator that is not
    unbiased must be exact to 1e-3 instead, with 200 samples if it has `n_samples`. The gradient of a proxy must point
    upwards.
    """
    if estimator.proxy:
        jac = _estimate(estimator, 0)[0].jac
        assert jac is not None, "a proxy must have a gradient"
        assert float(jac @ HESS @ START) > 0, "a proxy's gradient must point upwards"
        return
    if not estimator.unbiased:
        sampled = "n_samples" in attrs.fields_dict(type(estimator))
        many: Any = {"n_samples": _SAMPLES_IF_BIASED} if sampled else {}
        _assert_exact(_estimate(attrs.evolve(estimator, **many), 0)[0], estimator.provides)
        return
    estimates = [_estimate(estimator, seed)[0] for seed in range(_ESTIMATES)]
    if Order.JAC in estimator.provides:
        _assert_mean_or_close(torch.stack([e.jac for e in estimates if e.jac is not None]), HESS @ START)
    if Order.HESS in estimator.provides:
        _assert_mean_or_close(torch.stack([e.hess for e in estimates]), HESS)
    if Order.HESSP in estimator.provides:
        _assert_mean_or_close(torch.stack([e.hessp(START) for e in estimates]), HESS @ START)


def _assert_exact(estimate: Estimate, provides: Order) -> None:
    close: Any = {"rtol": _EXACT_WITHIN, "atol": _EXACT_WITHIN}
    if Order.JAC in provides:
        torch.testing.assert_close(estimate.jac, HESS @ START, **close)
    if Order.HESS in provides:
        torch.testing.assert_close(estimate.hess, HESS, **close)
    if Order.HESSP in provides:
        torch.testing.assert_close(estimate.hessp(START), HESS @ START, **close)


def _assert_mean_or_close(samples: Tensor, expected: Tensor) -> None:
    if float(samples.std(0).max()) < _NO_SPREAD:
        torch.testing.assert_close(samples.mean(0), expected, rtol=_DIFFERENCE_ROUNDING, atol=_DIFFERENCE_ROUNDING)
    else:
        assert_mean(samples.numpy(), expected.numpy())
