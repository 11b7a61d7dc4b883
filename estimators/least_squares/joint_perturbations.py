"""Joint perturbations of many parameters, and the Jacobian from them."""

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

from .footprints import Footprints
from .prior_rows import without_prior
from .ramps import atlas_of
from .sparse_jacobian import explained, identify

__all__ = ["HELD_OUT", "Identified", "JointPerturbations"]

Array = NDArray[np.float64]

# Number of perturbations with random signs on which a Jacobian is checked.
# Measured (tests/benchmarks/constants.py): with 2 and 8, 2 % fewer and 6 % more evaluations.
HELD_OUT = 4
# Residuals on which the Jacobian is checked; a share of 0.5 of these many has a standard error of about 0.01.
_CHECKED_RESIDUALS = 2048
# Largest part of the change from the base to the next point, as a root mean square, that a Jacobian from ramps may fail
# to predict. Measured (seeds 1000 and 1001): 0.002 to 0.008 on TEXTURE and on a sky seen directly; 0.06 to 0.10 where
# pixels are as large as texels, or in a mirror; 0.7 where light bounces between two textures.
_MOST_UNPREDICTED = 0.02
# The same of random signs. They are harder to predict than a step: on TEXTURE, 0.026 against 0.008.
# Measured (tests/benchmarks/constants.py): with 0.025 and 0.1, 6 % more and 4 % fewer evaluations.
_MOST_UNPREDICTED_OF_SIGNS = 0.05


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
        found: Array = self.points[1:] - self.points[0]
        return found

    @property
    def changes(self) -> Array:
        """Changes of the residuals, shape (k, m)."""
        found: Array = self.residuals[1:] - self.residuals[0]
        return found

    def joined(self, points: Array, residuals: Array) -> Identified:
        """With further evaluations."""
        return evolve(
            self,
            points=np.concatenate([self.points, points]),
            residuals=np.concatenate([self.residuals, residuals]),
        )

    def unpredicted(self, count: int) -> float:
        """Root mean square of what is not predicted of the last changes.

        It is relative to the changes; 0 if there are none.
        """
        if not self.changes[-count:].any():
            return 0.0
        return _error(explained(self.jacobian, self.steps[-count:], self.changes[-count:]))


@frozen(kw_only=True)
class JointPerturbations:
    """Identification of a sparse Jacobian from perturbations of all parameters.

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

        They correct a Jacobian from ramps; if it fails, random signs correct or replace it.
        """
        joined = identified.joined(x.numpy()[None], residual[None])
        error = max(joined.unpredicted(1), joined.error)
        atlas = atlas_of(grids, objective.indices) if joined.height > 0 else None
        if atlas is None:
            return evolve(joined, error=error)
        ramps = joined.changes[: len(atlas.patterns)]
        footprints = atlas.footprints(ramps, joined.height)
        found = evolve(joined, jacobian=footprints.jacobian(joined.steps, joined.changes), error=error)
        return found if error <= _MOST_UNPREDICTED else self._corrected(objective, found, footprints, rng)

    def _corrected(
        self, objective: Evaluator, ramps: Identified, footprints: Footprints, rng: np.random.Generator
    ) -> Identified:
        """Add random signs until the Jacobian predicts them, or pursue another one."""
        found, base = ramps, torch.from_numpy(ramps.points[0])
        # Perturbations that were made already count.
        most = max(self.n_samples, len(ramps.steps) + HELD_OUT + self.neighbours + 1)
        while True:
            signs = torch.from_numpy(rng.choice([-1.0, 1.0], (HELD_OUT, objective.n)))
            points = objective.project(base + ramps.height * signs)
            residuals = _residuals(objective, points, ramps.seed)
            keep = np.array([bool(np.isfinite(row).all()) for row in residuals])
            if not keep.any():
                raise NonFiniteError(_TOO_FEW)
            before, found = found, found.joined(points.numpy()[keep], residuals[keep])
            jacobian = footprints.jacobian(found.steps, found.changes)
            found = evolve(found, jacobian=jacobian, error=found.unpredicted(int(keep.sum())))
            if found.error <= _MOST_UNPREDICTED_OF_SIGNS:
                return found
            if len(found.steps) >= most:
                return self._pursued(found, len(before.steps))

    def _by_signs(self, objective: Evaluator, x: Tensor, sigma: float, rng: np.random.Generator) -> Identified:
        # Checked before signs are drawn, which may not fit into memory.
        objective.check_budget(self.n_samples + 1)
        signs = torch.from_numpy(rng.choice([-1.0, 1.0], (self.n_samples, objective.n)))
        points = objective.project(torch.cat([x[None], x + sigma * signs]))
        seed = int(SeedSource(self.seeds, rng).compare(1)[0])
        residuals = _residuals(objective, points, seed)
        keep = np.array([bool(np.isfinite(row).all()) for row in residuals])
        if not keep[0] or keep.sum() <= HELD_OUT + self.neighbours + 1:
            raise NonFiniteError(_TOO_FEW)
        empty = csr_matrix((residuals.shape[1], objective.n))
        made = Identified(
            jacobian=empty, points=points.numpy()[keep], residuals=residuals[keep], seed=seed, error=np.inf
        )
        return self._pursued(made, int(keep.sum()) - 1 - HELD_OUT)

    def _pursued(self, made: Identified, used: int) -> Identified:
        """Jacobian by pursuit, unless the present one is better.

        Perturbations after the first `used` ones check it.
        """
        # The changes are nearly linear: perturbations of any size count alike.
        sizes = np.sqrt(np.square(made.steps).mean(1))[:, None]
        sizes[sizes == 0] = 1
        steps, changes = made.steps / sizes, made.changes / sizes
        # Evenly spaced residuals suffice for the check.
        some = slice(None, None, max(1, changes.shape[1] // _CHECKED_RESIDUALS))
        trial = identify(steps[:used], changes[:used, some], self.neighbours)
        error = _error(explained(trial, steps[used:], changes[used:, some]))
        if error >= made.error:
            return evolve(made, height=0.0)
        return evolve(made, jacobian=identify(steps, changes, self.neighbours), height=0.0, error=error)


def _error(share: float) -> float:
    """Root mean square of what is left, if this share of squares is explained."""
    return float(np.sqrt(max(1 - share, 0.0)))


def _residuals(objective: Evaluator, points: Tensor, seed: int) -> Array:
    objective.check_budget(len(points))
    return without_prior(objective, objective.residuals(points, seed=np.full(len(points), seed)).double().numpy())


_TOO_FEW = "too few of the perturbed samples are finite, or the one at x is not; bound the parameters"
