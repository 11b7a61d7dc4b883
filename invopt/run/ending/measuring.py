"""Measure values of a few points at the end of a run, under the same seeds."""

from __future__ import annotations

import math

import numpy as np
import torch
from attrs import define, field
from torch import Tensor

from invopt.core.seeds import SeedSource
from invopt.evaluate.evaluator import CountingEvaluator
from invopt.exceptions import EvaluationError, NonFiniteError
from invopt.run.stopping import VALUE_ROUNDING

__all__ = ["Measured", "Measuring", "is_same"]


@define(eq=False)
class Measured:
    """A point in units of `x_scale`, and the values measured there in each round.

    Attributes
    ----------
    x : Tensor, shape (n,)
    values : list of float
        Values; nan for a failed evaluation.
    vectors : list of Tensor
        Residuals of shape (m,), if the problem has them, without rows of a prior.
    known_variance : float
        Variance of the known noise of each; 0 if it is unknown.
    """

    x: Tensor
    values: list[float] = field(factory=list)
    vectors: list[Tensor] = field(factory=list)
    known_variance: float = 0.0

    @property
    def first(self) -> float:
        """Value of the first round."""
        return self.values[0] if self.values else math.nan

    @property
    def known(self) -> list[float]:
        """Values of the rounds that did not fail."""
        return [value for value in self.values if not math.isnan(value)]

    @property
    def mean(self) -> float:
        """Mean value over the rounds that did not fail."""
        with np.errstate(over="ignore"):
            return float(np.mean(self.known)) if self.known else math.nan

    @property
    def standard_error(self) -> float:
        """Standard error of the mean; inf after one round."""
        k = len(self.known)
        # It overflows to inf for values near the largest float.
        with np.errstate(over="ignore", invalid="ignore"):
            return float(np.std(self.known, ddof=1)) / math.sqrt(k) if k > 1 else math.inf


class Measuring:
    """Measurement of points in rounds.

    All points of a round share a seed, and rounds have different seeds.

    Parameters
    ----------
    evaluator : CountingEvaluator
        Evaluates the points.
    seeds : SeedSource
        Source of seeds; under FRESH, each evaluation has its own.
    residuals : bool
        Whether residuals are evaluated, whose mean square is the value.
    allowance : int
        Largest number of evaluations.
    """

    def __init__(self, evaluator: CountingEvaluator, seeds: SeedSource, *, residuals: bool, allowance: int) -> None:
        self._evaluator = evaluator
        self._seeds = seeds
        self._residuals = residuals
        self.left = allowance

    def round(self, points: list[Measured]) -> None:
        """Measure each point once more.

        If the allowance does not permit all, measure as many of the first points as it permits.
        """
        points = points[: self.left]
        if not points:
            return
        self.left -= len(points)
        rows = torch.stack([point.x for point in points])
        seeds = self._seeds.repeat(1, len(points))
        try:
            if self._residuals:
                found = self._evaluator.residuals(rows, seed=seeds).double()
                values = found.square().mean(1).tolist()
                prior, m = self._evaluator.prior, found.shape[1]
                for point, vector in zip(points, found, strict=True):
                    point.vectors.append(vector if prior is None else vector[: m - prior.size])
                    point.known_variance = self._evaluator.row_variance(m)
            else:
                values = self._evaluator.fun(rows, seed=seeds, keep_inf=True).double().tolist()
        except (NonFiniteError, EvaluationError) as error:
            if self._evaluator.seen.lowest is None and not isinstance(error, NonFiniteError):
                # No value is known that the run could return.
                raise
            values = [math.nan] * len(points)
        for point, value in zip(points, values, strict=True):
            point.values.append(float(value))


def is_same(first: float, second: float) -> bool:
    """Return whether two values differ by rounding alone.

    An infinite value differs from every finite one.
    """
    if not math.isfinite(first - second):
        return first == second
    return abs(first - second) <= VALUE_ROUNDING * max(abs(first), abs(second))
