"""Values of a few points, measured at the end of a run under the same seeds."""

from __future__ import annotations

import math

import numpy as np
import torch
from attrs import define, field
from torch import Tensor

from invopt.core.seeds import SeedSource
from invopt.evaluate.evaluator import CountingEvaluator
from invopt.exceptions import EvaluationError, NonFiniteError

__all__ = ["Measured", "Measuring", "is_same"]

# Values that differ by no more than this, relative to their size, differ by rounding.
_ROUNDING = 1e-12


@define(eq=False)
class Measured:
    """A point of shape (n,), in units of `x_scale`, and what was measured there, round after round.

    Attributes
    ----------
    x : Tensor, shape (n,)
    values : list of float
        Values; nan where an evaluation failed.
    vectors : list of Tensor
        Residuals of shape (m,), where there are any.
    """

    x: Tensor
    values: list[float] = field(factory=list)
    vectors: list[Tensor] = field(factory=list)

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
        """Mean over the rounds."""
        with np.errstate(over="ignore"):
            return float(np.mean(self.known)) if self.known else math.nan

    @property
    def standard_error(self) -> float:
        """Standard error of the mean; inf after one round."""
        k = len(self.known)
        # Of values near the largest float it is inf.
        with np.errstate(over="ignore", invalid="ignore"):
            return float(np.std(self.known, ddof=1)) / math.sqrt(k) if k > 1 else math.inf


class Measuring:
    """Measures points in rounds, each under a seed of its own that its points share.

    Parameters
    ----------
    evaluator : CountingEvaluator
        Where evaluations are spent.
    seeds : SeedSource
        Where seeds come from; of a run with fresh seeds, one for each evaluation.
    residuals : bool
        Whether residuals are asked for, whose mean square is the value.
    allowance : int
        Evaluations that may be spent.
    """

    def __init__(self, evaluator: CountingEvaluator, seeds: SeedSource, *, residuals: bool, allowance: int) -> None:
        self._evaluator = evaluator
        self._seeds = seeds
        self._residuals = residuals
        self.left = allowance

    def round(self, points: list[Measured]) -> None:
        """Measure each point once more, as many of the first ones as the allowance pays."""
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
                for point, vector in zip(points, found, strict=True):
                    point.vectors.append(vector)
            else:
                values = self._evaluator.fun(rows, seed=seeds, keep_inf=True).double().tolist()
        except (NonFiniteError, EvaluationError) as error:
            if self._evaluator.seen.lowest is None and not isinstance(error, NonFiniteError):
                # There is nothing yet that the error could cost.
                raise
            values = [math.nan] * len(points)
        for point, value in zip(points, values, strict=True):
            point.values.append(float(value))


def is_same(first: float, second: float) -> bool:
    """Whether two values differ by rounding alone; one that is infinite is like no finite one."""
    if not math.isfinite(first - second):
        return first == second
    return abs(first - second) <= _ROUNDING * max(abs(first), abs(second))
