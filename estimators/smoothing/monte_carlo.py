"""Evaluations at perturbed points, and means with their standard errors."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from invopt.exceptions import NonFiniteError
from invopt.plugin import Evaluator, Measurement

__all__ = ["Parts", "evaluate", "mean"]


class Parts(NamedTuple):
    """Values at perturbed points, split by symmetry: ``f(x - tau) = even + odd``.

    Without antithetic pairs both parts are the value itself; the even part then only adds noise to an odd kernel.
    """

    odd: Tensor
    even: Tensor
    values: Tensor


def evaluate(objective: Evaluator, x: Tensor, tau: Tensor, seed: NDArray[np.int64], *, antithetic: bool) -> Parts:
    """Evaluate at ``x - tau`` and, for antithetic pairs, at ``x + tau``.

    Parameters
    ----------
    objective : Evaluator
        Evaluates and counts.
    x : Tensor, shape (n,)
        Centre.
    tau : Tensor, shape (m, n)
        Perturbations.
    seed : ndarray of int64, shape (m,) or (2 m,)
        Renderer seeds; with antithetic pairs, those of the mirrored points come second.
    antithetic : bool
        Whether to evaluate the mirrored points too.
    """
    if not antithetic:
        values = objective.fun(x - tau, seed=seed)
        return Parts(values, values, values)
    m = tau.shape[0]
    values = objective.fun(torch.cat((x - tau, x + tau)), seed=seed)
    minus, plus = values[:m], values[m:]
    return Parts(0.5 * (minus - plus), 0.5 * (minus + plus), values)


def mean(contributions: Tensor) -> Measurement:
    """Mean over the first axis, of those contributions that are finite.

    The standard error is that of independent contributions; inf for a single one.
    """
    value = contributions.mean(0)
    if bool(torch.isfinite(value).all()):
        return Measurement(value, lambda: _standard_error(contributions))
    finite = torch.isfinite(contributions)
    count = finite.sum(0)
    if bool((count == 0).any()):
        raise NonFiniteError("no sample of some component was finite; raise n_samples or bound the parameters")
    value = torch.where(finite, contributions, 0.0).sum(0) / count
    centred = torch.where(finite, contributions - value, 0.0)
    error = torch.sqrt(centred.square().sum(0) / (count - 1) / count)
    return Measurement(value, torch.where(count > 1, error, torch.inf))


def _standard_error(contributions: Tensor) -> Tensor:
    k = contributions.shape[0]
    if k < 2:
        return torch.full_like(contributions[0], torch.inf)
    return contributions.std(0) / math.sqrt(k)
