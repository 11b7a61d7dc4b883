"""Image error: unbiased squared difference to the image at the answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from invopt.core.objective import Objective
from invopt.core.problem import Problem
from invopt.core.seeds import FIRST_REFERENCE_SEED

__all__ = ["IMAGE_SPP", "ImageError"]

# Samples per pixel of each image. The estimate is unbiased for any number; more samples make it less noisy.
IMAGE_SPP = 16
# First seed of the images: apart from the seeds of runs, which are below, and of references, which start at
# FIRST_REFERENCE_SEED.
_FIRST_IMAGE_SEED = FIRST_REFERENCE_SEED + 1_000_003


class ImageError:
    r"""Mean squared difference of the noise-free images at a point and at the answer.

    It is estimated from two independent pairs of images, with one seed in each pair:

    .. math:: e(x) = \operatorname{mean} \left[ (I_1(x) - I_1(x^*)) (I_2(x) - I_2(x^*)) \right].

    The product of independent differences is unbiased, so that e may be slightly negative. With equal seeds the noise
    of a difference vanishes as x approaches the answer. The two seeds are used by no run and no reference, and are the
    same for every run. If a problem has no images, the error is :math:`f(x) - f(x^*)`; nan if that is not known.

    Parameters
    ----------
    problem : Problem
        A problem whose answer is known.
    objective : Objective
        Its open objective, in the problem's own units.
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
        picture: Any = self._objective.image(x, seed=_FIRST_IMAGE_SEED + i, spp=IMAGE_SPP)
        return np.asarray(picture, dtype=np.float64)
