"""Run: the validated parts and settings of a run, before anything is opened."""

from __future__ import annotations

from contextlib import AbstractContextManager

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.optimize import Bounds

from invopt.core.estimator import Estimator
from invopt.core.objective import Objective
from invopt.core.optimizer import Optimizer
from invopt.core.problem import Problem, has_weights
from invopt.evaluate.failures import Failures
from invopt.evaluate.sought import Sought
from invopt.evaluate.workers.open import Workers, open_objective
from invopt.run.arguments.callback import Callback
from invopt.run.keeping.kept import Kept
from invopt.run.stopping import Tolerances

__all__ = ["Run"]


@frozen(kw_only=True, eq=False)
class Run:
    """Validated parts and settings of a run, before anything is opened."""

    problem: Problem
    estimator: Estimator
    method: Optimizer
    choice: str
    x0: NDArray[np.float64]
    bounds: Bounds | None
    x_scale: NDArray[np.float64]
    rng: np.random.Generator
    maxiter: float
    maxfev: float
    maxtime: float
    max_nonfinite: float
    failures: Failures
    timeout: float
    tolerances: Tolerances
    callback: Callback | None
    workers: Workers
    progress: bool | str
    sought: Sought
    kept: Kept
    # Which parameters are eliminated, shape (n,); None if none are.
    shaded: NDArray[np.bool_] | None = None

    @property
    def training(self) -> bool:
        """Whether x holds the weights of a network."""
        return has_weights(self.problem)

    def open(self) -> AbstractContextManager[Objective]:
        """Open the objective for a block, in this process or in workers."""
        return open_objective(self.problem, self.workers, self.timeout)
