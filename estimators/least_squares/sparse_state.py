"""State of SparseGaussNewton, and the evaluations at the end of its run."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

from invopt.plugin import Evaluator, Grid

from .averaged_residuals import Average, Observed, average
from .joint_perturbations import Identified
from .repeated_errors import known_errors, likely_step, repeated_errors
from .sparse_jacobian import explained

__all__ = ["LEAST_EXPLAINED", "SparseState", "probe"]

# Share of the changes under held-out perturbations that a sparse Jacobian must predict: more than half.
LEAST_EXPLAINED = 0.5


@frozen(eq=False, kw_only=True)
class SparseState:
    """Jacobian and evaluations so far.

    `untested` is kept until the next point has tested the Jacobian. `error` is the root mean square of what the
    Jacobian does not predict, as a share. `first` and `before` are mean squares, `samples` those of the last average.
    `shades`: the objective has the Jacobian itself.
    """

    sigma: float
    spp: int | None
    grids: tuple[Grid, ...]
    jacobian: csr_matrix | None = None
    untested: Identified | None = None
    error: float = 0.0
    observed: tuple[Observed, ...] = ()
    noisy: bool = True
    note: str = ""
    identifications: int = 0
    renewed: bool = False
    samples: float = 0.0
    before: float | None = None
    first: float | None = None
    shades: bool = False

    def average_at(self, x: Tensor) -> Average:
        """Mean residuals at `x`."""
        assert self.jacobian is not None
        return average(self.observed, x.numpy(), self.jacobian, self.error, noisy=self.noisy)

    def errors_at(self, x: Tensor, objective: Evaluator) -> Tensor | None:
        """Standard errors of the parameters, if `x` is the answer."""
        assert self.jacobian is not None
        if objective.noise_std is not None:
            noise = objective.row_variance(self.jacobian.shape[0])
            found = known_errors(self.jacobian, noise, *self.average_at(x).of_noise(self.observed))
            return None if found is None else torch.from_numpy(found)
        # The evaluations that `x` was found with.
        earlier = [each for each in self.observed if not np.array_equal(each.x, x.numpy())]
        fitted = average(earlier, x.numpy(), self.jacobian, self.error, noisy=True).residual
        found = repeated_errors(self.jacobian, fitted, *self.average_at(x).of_noise(self.observed))
        return None if found is None else torch.from_numpy(found)


class Probe(NamedTuple):
    """Whether there is noise at the end of a run, and whether the Jacobian holds."""

    noisy: bool
    holds: bool


def probe(
    objective: Evaluator,
    x: Tensor,
    jacobian: csr_matrix,
    sigma: float,
    seeds: NDArray[np.int64],
    rng: np.random.Generator,
) -> Probe:
    """Evaluate `x` under two seeds, and a likely step from it.

    The step tests the directions that are determined least. The Jacobian holds if it predicts more than half of the
    change, or if parameters are undetermined anyway.
    """
    likely = likely_step(jacobian, rng)
    step = torch.zeros_like(x) if likely is None else sigma * torch.from_numpy(likely)
    moved = objective.project(objective.inside(x, step.abs()) + step)
    residuals = objective.residuals(torch.stack([x, x, moved]), seed=seeds[[0, 1, 0]]).double().numpy()
    share = explained(jacobian, (moved - x).numpy()[None], residuals[2:] - residuals[:1])
    return Probe(not np.array_equal(residuals[0], residuals[1]), likely is None or share >= LEAST_EXPLAINED)
