"""Identifiability: what of a motion's effect on pictures no shading can imitate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, eigh
from scipy.sparse import csr_matrix

from invopt.evaluate.eliminating.least_squares import Normal

__all__ = ["LEAST_SHARE", "Identifiability", "identifiability_of"]

Array = NDArray[np.float64]

# Share below which a parameter is hardly identifiable. Measured: a ball's turn 0.085 and a shadow on unknown texels
# 0.07, where no run was solved; 0.19 and more where runs were.
LEAST_SHARE = 0.1
# Component of the worst direction, relative to the largest, from which its parameter is named.
_NAMED = 0.3


@frozen(eq=False)
class Identifiability:
    """What share of the effect of each parameter that moves no shading can imitate.

    Attributes
    ----------
    names : tuple of str
        Names of the k parameters that move.
    unseen : int
        Number of parameters that shade which no pixel depends on; the prior alone says what they are.
    share : ndarray, shape (k,)
        Share of the squared effect of each alone, in [0, 1].
    worst : float
        Share in the direction that shading imitates best.
    direction : ndarray, shape (k,)
        This direction, in units of `x_scale`; a unit vector.
    """

    names: tuple[str, ...]
    unseen: int
    share: Array
    worst: float
    direction: Array

    @property
    def warning(self) -> str:
        """What is hardly identifiable, and what helps; empty if nothing is."""
        if self.worst >= LEAST_SHARE:
            return ""
        large = np.abs(self.direction) >= _NAMED * np.abs(self.direction).max()
        named = " with ".join(name for name, is_large in zip(self.names, large, strict=True) if is_large)
        return (
            f"what shades can imitate {1 - self.worst:.0%} of the effect of {named} on the pictures, so that both are "
            f"uncertain: add a view or a lamp, or narrow the scales or bounds of what shades"
        )


def identifiability_of(
    names: Sequence[str], slopes: tuple[Array, Array], jacobian: csr_matrix, normal: Normal, level: float
) -> Identifiability | None:
    r"""Return the share of an effect that shading cannot imitate.

    With M the slopes of the residuals by what moves and J those by what shades, the information on what moves is
    :math:`M^T M` where the shading is known, and :math:`M^T (M - J (J^T J + \lambda P)^{-1} J^T M)` where it is sought.

    Parameters
    ----------
    names : sequence of str
        Names of the k parameters that move.
    slopes : pair of ndarray, each of shape (m, k)
        M under two seeds, so that noise, which nothing imitates, does not count.
    jacobian, normal, level
        J, its normal equations, and the weight of the prior.

    Returns
    -------
    Identifiability or None
        None if noise hides the slopes.
    """
    first, second = slopes
    left = second - jacobian @ normal.inverse(level, jacobian.T @ second)
    known, unknown = (0.5 * (product + product.T) for product in (first.T @ second, first.T @ left))
    try:
        shares, directions = eigh(unknown, known)
    except (LinAlgError, ValueError):
        return None
    direction = directions[:, 0] / np.linalg.norm(directions[:, 0])
    share = np.clip(np.diag(unknown) / np.diag(known), 0.0, 1.0)
    unseen = int((np.diff(jacobian.tocsc().indptr) == 0).sum())
    return Identifiability(tuple(names), unseen, share, float(np.clip(shares[0], 0.0, 1.0)), direction)
