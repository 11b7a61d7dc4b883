"""Image error: how far the picture at a point is from that at the answer, free of the noise of either."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from invopt.core.objective import Objective
from invopt.core.problem import Problem
from invopt.core.seeds import FIRST_REFERENCE_SEED

__all__ = ["IMAGE_SPP", "ImageError"]

# Samples per pixel of each picture.
IMAGE_SPP = 16
# Where no run's seeds are, nor the reference's own.
_SEED = FIRST_REFERENCE_SEED + 1_000_003


class ImageError:
    r"""Mean squared difference of the noise-free pictures at a point and at the answer.

    Estimated from two independent pairs of pictures, the two of a pair having the same seed:

    .. math:: e(x) = \operatorname{mean} \left[ (I_1(x) - I_1(x^*)) (I_2(x) - I_2(x^*)) \right].

    The product of independent differences is unbiased, so that e may come out a little below 0; equal seeds make their
    noise vanish as x approaches the answer. The two seeds are those of no run and no reference, and the same for every
    run. Where a problem has no pictures, the error is :math:`f(x) - f(x^*)`; where that is not known, nan.

    Parameters
    ----------
    problem : Problem
        Whose answer is known.
    objective : Objective
        Its live objective, in the problem's own units.
    """

    def __init__(self, problem: Problem, objective: Objective) -> None:
        self._objective = objective
        self._answers: list[NDArray[np.float64]] = []
        self._floor = np.nan if problem.fun_opt is None else problem.fun_opt
        if problem.x_opt is not None and objective.reference is not None:
            self._answers = [self._picture(problem.x_opt, i) for i in (0, 1)]

    def __call__(self, x: NDArray[np.float64]) -> float:
        """Error at `x` of shape (n,)."""
        if not self._answers:
            return float(self._objective.fun(torch.from_numpy(x[None].copy()), seed=np.array([0]))[0]) - self._floor
        first, second = (self._picture(x, i) - self._answers[i] for i in (0, 1))
        return float(np.mean(first * second))

    def _picture(self, x: NDArray[np.float64], i: int) -> NDArray[np.float64]:
        picture: Any = self._objective.image(x, seed=_SEED + i, spp=IMAGE_SPP)
        return np.asarray(picture, dtype=np.float64)
