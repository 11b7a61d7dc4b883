"""Energy of a field's pictures over the truth's, without a reference."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from .live_field import LiveField

__all__ = ["PATHS", "Energy", "energy_entries", "energy_of"]

# Paths of a check: behind the door, where they have the largest variance of the scenes of tests/benchmarks/rooms.py,
# the standard error is 1 %, and the check takes a second on a thread.
PATHS = 2**18
# Seed of the paths of a check, which no training and no reference has.
_SEED = 2**30 + 22
# Energies with which pictures count as right.
_LEAST, _MOST = 0.95, 1.05


@frozen(kw_only=True)
class Energy:
    """Mean of pictures over the mean of the truth, outside of what emitters show.

    Attributes
    ----------
    lhs, rhs : float
        Of the field itself, and of its right side after one bounce; below 1 a picture is too dark.
    lhs_standard_error, rhs_standard_error : float
        Their standard errors.
    """

    lhs: float
    lhs_standard_error: float
    rhs: float
    rhs_standard_error: float

    def entries(self) -> dict[str, float]:
        """Return the entries of a result."""
        return {
            "energy": self.lhs,
            "energy_standard_error": self.lhs_standard_error,
            "energy_rhs": self.rhs,
            "energy_rhs_standard_error": self.rhs_standard_error,
        }


def energy_of(live: LiveField, weights: Mapping[str, Tensor], paths: int, seed: int) -> Energy | None:
    r"""Compare a field with path tracing along the same paths; None without light.

    A path from the camera meets the surfaces :math:`x_0, x_1, \dots`. With the light :math:`e` of emitters that
    :math:`x_0` reflects, and the factor :math:`f` of what :math:`x_1` reflects, the truth is
    :math:`e + f \hat R(x_1)`, where :math:`\hat R` continues the path; the picture of the field is :math:`N(x_0)`, and
    that of its right side :math:`e + f N(x_1)`. All three have no bias, and their noise is shared, so that their ratios
    have little. It falls as one over the root of the number of paths.

    Parameters
    ----------
    live : LiveField
        The live field; `SceneError` if its scene has no camera.
    weights : mapping
        Weights of the field.
    paths : int
        Number of paths.
    seed : int
        Their seed.
    """
    found = live.transport.light_paths(paths, seed)
    with torch.no_grad():
        first, second = live.reflected(weights, found.first).t(), live.reflected(weights, found.second).t()
        first, second, beyond = (torch.where(found.shown > 0, part, 0.0) for part in (first, second, found.beyond))
        there = torch.where(found.weight > 0, second, 0.0)
        truth = _light(found.shown * (found.light + found.weight * beyond))
        sides = [_light(found.shown * first), _light(found.shown * (found.light + found.weight * there))]
    if not float(truth.mean()) > 0:
        return None
    (lhs, lhs_error), (rhs, rhs_error) = (_ratio(side, truth) for side in sides)
    return Energy(lhs=lhs, lhs_standard_error=lhs_error, rhs=rhs, rhs_standard_error=rhs_error)


def _warn_of(found: Energy) -> None:
    """Warn if the energy of the right side, or of the field, is not right."""
    if _LEAST <= found.lhs <= _MOST and _LEAST <= found.rhs <= _MOST:
        return
    warnings.warn(
        f"the energy of the trained field's pictures is {_said(found.lhs, found.lhs_standard_error)} of the truth's, "
        f"and that of its right side {_said(found.rhs, found.rhs_standard_error)}: train longer, or lower the rate",
        UserWarning,
        stacklevel=2,
    )


def energy_entries(live: Any, x: Any) -> dict[str, float]:
    """Return the energies at `x` as entries of a result, with a warning if needed."""
    found: Energy | None = live.energy(x, paths=PATHS, seed=_SEED)
    if found is None:
        return {}
    _warn_of(found)
    return found.entries()


def _light(colour: Tensor) -> Tensor:
    return colour.double().mean(0)


def _ratio(side: Tensor, truth: Tensor) -> tuple[float, float]:
    """Ratio of two means of pairs, and its standard error to first order."""
    mean = float(truth.mean())
    ratio = float(side.mean()) / mean
    return ratio, float((side - ratio * truth).std()) / mean / math.sqrt(len(truth))


def _said(value: float, error: float) -> str:
    return f"{value:.3f} ± {error:.3f}"
