"""Joint perturbations of many parameters under one seed, and the Jacobian from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from attrs import evolve, frozen
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

from invopt.exceptions import NonFiniteError
from invopt.plugin import Evaluator, Grid, SeedPolicy, SeedSource

from .ramps import atlas_of
from .sparse_jacobian import explained, identify

__all__ = ["HELD_OUT", "Identified", "JointPerturbations"]

Array = NDArray[np.float64]

# Number of perturbations with random signs on which a Jacobian is checked.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 2 and 8.
HELD_OUT = 4
# Residuals on which the Jacobian is checked; a share of 0.5 of these many has a standard error of about 0.01.
_CHECKED_RESIDUALS = 2048
# Largest part of the change from the base to the next point, as a root mean square, that a Jacobian from ramps may fail
# to predict.
_MOST_UNPREDICTED = 0.02


@frozen(eq=False, kw_only=True)
class Identified:
    """A sparse Jacobian, and the evaluations that it is from.

    Attributes
    ----------
    jacobian : csr_matrix, shape (m, n)
        The Jacobian.
    points : ndarray, shape (k + 1, n)
        The base, and perturbed points.
    residuals : ndarray, shape (k + 1, m)
        Residuals at these points.
    seed : int
        Seed of all of them.
    height : float
        Height of the ramps that come first; 0 if the Jacobian is from random signs.
    error : float
        Root mean square of the changes of other evaluations that the Jacobian does not predict, relative to the
        changes; 0 until there are such evaluations.
    """

    jacobian: csr_matrix
    points: Array
    residuals: Array
    seed: int
    height: float = 0.0
    error: float = 0.0

    @property
    def steps(self) -> Array:
        """Perturbations, shape (k, n)."""
        return self.points[1:] - self.points[0]

    @property
    def changes(self) -> Array:
        """Changes of the residuals, shape (k, m)."""
        return self.residuals[1:] - self.residuals[0]

    def joined(self, points: Array, residuals: Array) -> Identified:
        """With further evaluations."""
        return evolve(
            self,
            points=np.concatenate([self.points, points]),
            residuals=np.concatenate([self.residuals, residuals]),
        )

    def unpredicted(self) -> float:
        """Root mean square of what is not predicted of the last change, relative to it; 0 if there is none."""
        if not self.changes[-1].any():
            return 0.0
        share = explained(self.jacobian, self.steps[-1:], self.changes[-1:])
        return float(np.sqrt(max(1 - share, 0.0)))


@frozen(kw_only=True)
class JointPerturbations:
    """Identification of a sparse Jacobian from perturbations of all parameters at once.

    By ramps if the parameters are in grids: the next point of the run tests the Jacobian, and if it fails, random signs
    follow. Otherwise by random signs at once.

    Parameters
    ----------
    n_samples : int
        Perturbations, if ramps do not suffice.
    neighbours : int
        Entries a row, if ramps do not suffice.
    seeds : SeedPolicy
        Which evaluations share a seed.
    """

    n_samples: int
    neighbours: int
    seeds: SeedPolicy

    def identify(
        self, objective: Evaluator, x: Tensor, sigma: float, grids: Sequence[Grid], rng: np.random.Generator
    ) -> Identified:
        """Identify the Jacobian around `x`, with perturbations of size `sigma`."""
        atlas = atlas_of(grids, objective.indices)
        if atlas is None:
            return self._by_signs(objective, x, sigma, rng)
        base = objective.inside(x, torch.full_like(x, sigma))
        points = torch.cat([base[None], base + sigma * torch.from_numpy(atlas.patterns)])
        seed = int(SeedSource(self.seeds, rng).compare(1)[0])
        residuals = _residuals(objective, points, seed)
        if not np.isfinite(residuals).all():
            return self._by_signs(objective, x, sigma, rng)
        steps, changes = points.numpy()[1:] - points.numpy()[0], residuals[1:] - residuals[0]
        jacobian = atlas.footprints(changes, sigma).jacobian(steps, changes)
        return Identified(jacobian=jacobian, points=points.numpy(), residuals=residuals, seed=seed, height=sigma)

    def tested(
        self,
        objective: Evaluator,
        x: Tensor,
        identified: Identified,
        residual: Array,
        grids: Sequence[Grid],
        rng: np.random.Generator,
    ) -> Identified:
        """Compare the residuals at the next point with the prediction.

        They correct a Jacobian from ramps; if it fails, it is replaced by one from random signs.
        """
        joined = identified.joined(x.numpy()[None], residual[None])
        error = max(joined.unpredicted(), joined.error)
        if joined.height == 0.0:
            return evolve(joined, error=error)
        if error > _MOST_UNPREDICTED:
            found = self._more_signs(objective, joined, rng)
            return evolve(found, error=max(evolve(joined, jacobian=found.jacobian).unpredicted(), found.error))
        atlas = atlas_of(grids, objective.indices)
        assert atlas is not None
        ramps = joined.changes[: len(atlas.patterns)]
        jacobian = atlas.footprints(ramps, joined.height).jacobian(joined.steps, joined.changes)
        return evolve(joined, jacobian=jacobian, error=error)

    def _by_signs(self, objective: Evaluator, x: Tensor, sigma: float, rng: np.random.Generator) -> Identified:
        signs = torch.from_numpy(rng.choice([-1.0, 1.0], (self.n_samples, objective.n)))
        points = objective.project(torch.cat([x[None], x + sigma * signs]))
        seed = int(SeedSource(self.seeds, rng).compare(1)[0])
        residuals = _residuals(objective, points, seed)
        keep = np.isfinite(residuals).all(1)
        if not keep[0]:
            raise NonFiniteError(_TOO_FEW)
        empty = csr_matrix((residuals.shape[1], objective.n))
        made = Identified(jacobian=empty, points=points.numpy()[keep], residuals=residuals[keep], seed=seed)
        return self._pursued(made, int(keep.sum()) - 1)

    def _more_signs(self, objective: Evaluator, ramps: Identified, rng: np.random.Generator) -> Identified:
        """Add random signs to ramps; perturbations that were made already count."""
        count = max(self.n_samples - len(ramps.steps), HELD_OUT + self.neighbours + 1)
        signs = torch.from_numpy(rng.choice([-1.0, 1.0], (count, objective.n)))
        points = objective.project(torch.from_numpy(ramps.points[0]) + ramps.height * signs)
        residuals = _residuals(objective, points, ramps.seed)
        keep = np.isfinite(residuals).all(1)
        return self._pursued(ramps.joined(points.numpy()[keep], residuals[keep]), int(keep.sum()))

    def _pursued(self, made: Identified, count: int) -> Identified:
        """Jacobian by pursuit, unless another predicts more; the last `count` perturbations are signs."""
        if count <= HELD_OUT + self.neighbours:
            raise NonFiniteError(_TOO_FEW)
        steps, changes = made.steps[-count:], made.changes[-count:]
        held, used = slice(None, HELD_OUT), slice(HELD_OUT, None)
        # Evenly spaced residuals suffice for the check.
        some = slice(None, None, max(1, changes.shape[1] // _CHECKED_RESIDUALS))
        trial = identify(steps[used], changes[used, some], self.neighbours)
        share = explained(trial, steps[held], changes[held, some])
        other = explained(made.jacobian[some], steps[held], changes[held, some])
        jacobian = made.jacobian if other > share else identify(made.steps, made.changes, self.neighbours)
        error = float(np.sqrt(max(1 - max(share, other), 0.0)))
        return evolve(made, jacobian=jacobian, height=0.0, error=error)


def _residuals(objective: Evaluator, points: Tensor, seed: int) -> Array:
    objective.check_budget(len(points))
    found: Array = objective.residuals(points, seed=np.full(len(points), seed)).double().numpy()
    return found


_TOO_FEW = "too few of the perturbed samples are finite, or the one at x is not; bound the parameters"
