"""Value, gradient and Hessian from the samples of the last iterations."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt._estimator import Estimate, Lowest, Measurement, Order
from invopt._evaluate import Evaluator
from invopt._problem import Problem

from .history import HistoryEstimator, HistoryState
from .regression import fit, quadratic, unpack
from .window import reweight

__all__ = ["SampleHistory"]

_MOST_PARAMETERS = 50


@frozen(kw_only=True)
class SampleHistory(HistoryEstimator):
    r"""`fun`, `jac` and `hess` from the samples of the last iterations, few of which are new.

    All samples of the window are re-weighted to the present point and width by the balance heuristic over the densities
    that they were drawn from, and a quadratic is fitted to them in the basis of Hermite polynomials, whose coefficients
    are the derivatives of :math:`E[f(x - \tau)],\ \tau \sim N(0, \sigma^2 I)`.

    Parameters
    ----------
    sigma, n_samples, window, seeds
        As of every estimator with a history, see `HistoryEstimator`.

    Raises
    ------
    ValueError
        For more than 50 parameters: the quadratic has (n + 1)(n + 2) / 2 coefficients.

    Notes
    -----
    Consistent, not unbiased: as the samples of a window grow in number K the error falls as :math:`1 / \sqrt K`, and
    the bias, which normalising the weights by their own sum brings, as 1 / K. On a quadratic there is no error at all
    once there are as many samples as coefficients. With fewer the coefficients are those of least norm: curvature that
    no sample shows is 0.

    The standard errors are those of least squares with unequal variances; they take the samples for independent, and
    noise that a whole window shares by its seed is not in them. They are infinite while the samples are no more than
    the coefficients.

    See Also
    --------
    GaussNewton : where residuals are known, fewer evaluations.
    SharedSamples : unbiased, without memory.
    """

    provides: ClassVar[Order] = Order.FUN | Order.JAC | Order.HESS | Order.HESSP

    def init(self, problem: Problem) -> HistoryState:
        """State before the first estimate."""
        if problem.n > _MOST_PARAMETERS:
            raise ValueError(f"SampleHistory is for at most {_MOST_PARAMETERS} parameters, and there are {problem.n}")
        return super().init(problem)

    def _evaluate(self, objective: Evaluator, points: Tensor, seed: NDArray[np.int64], state: HistoryState) -> Tensor:
        return objective.fun(points, seed=seed).double()

    def _model(
        self, objective: Evaluator, x: Tensor, state: HistoryState, rng: np.random.Generator
    ) -> tuple[Estimate, HistoryState]:
        n, sigma = objective.n, state.sigma
        seen = reweight(state.batches, x, sigma)
        features, ridge = quadratic(seen.t)
        model = fit(features, ridge, seen.weights, seen.funs)
        jac, hess = unpack(model.coefficients, n)
        if model.determined:
            error = model.covariance().diagonal().clamp(min=0).sqrt()
        else:
            error = torch.full_like(model.coefficients, torch.inf)
        jac_error, hess_error = unpack(error, n)
        # What smoothing has added to the value where the curvature is this.
        blur = 0.5 * max(float(hess.trace()), 0.0)

        def promised(step: Tensor) -> float:
            t = step / sigma
            return float(model.coefficients[0] + jac @ t + 0.5 * (t @ hess @ t)) - blur

        stay = self._is_plateau(seen.weights, seen.funs, state)
        estimate = Estimate(
            x=x,
            fun=float(model.coefficients[0]),
            fun_standard_error=float(error[0]),
            jac=torch.zeros_like(jac) if stay else jac / sigma,
            standard_error=jac_error / sigma,
            hessian=lambda: Measurement(hess / sigma**2, hess_error / sigma**2),
            nfev=0,
            sigma=sigma,
            spread=float(seen.funs.std(correction=0)),
            lowest=None if stay or state.lowest is None else Lowest(*state.lowest, promised),
        )
        return estimate, self._stayed(state, stay)
