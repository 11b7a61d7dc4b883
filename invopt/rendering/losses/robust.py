"""Losses in which large differences count less than their squares."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from invopt.core.validators import real
from invopt.rendering.losses.arrays import above, log, root
from invopt.rendering.losses.loss import Loss

__all__ = ["Cauchy", "Huber"]

# Square of a scaled difference below which log(1 + z) is replaced by z: their difference is then below the resolution
# of single precision, 6e-8, and the derivative of the root of their ratio stays finite.
_SMALLEST = 1e-7


@frozen(kw_only=True)
class Huber(Loss):
    r"""Mean of d^2 for differences d below delta, of 2 delta \|d\| - delta^2 above.

    Fireflies, reflections that the scene lacks and objects that are in the photograph only have less weight than in a
    mean square. The residuals are the signed roots of these values.

    Parameters
    ----------
    delta : float, default 0.1
        Largest difference that counts with its square, in units of the linear picture, > 0.
    """

    delta: float = field(default=0.1, validator=real(above=0))

    def residuals(self, image: Any, reference: Any) -> list[Any]:
        """Differences up to delta; above it, signed roots of a linear function."""
        d, delta = image - reference, self.delta
        up = _linear(above(d, delta, d, d * 0.0 + delta), delta)
        down = _linear(above(-d, delta, -d, d * 0.0 + delta), delta)
        return [above(d, delta, up, above(-d, delta, -down, d))]


@frozen(kw_only=True)
class Cauchy(Loss):
    """Mean of scale^2 log(1 + (d / scale)^2) of the differences d.

    Differences far above the scale hardly count any more. A start whose differences are all that large hardly has a
    slope: give it a larger scale, or use `Huber`.

    Parameters
    ----------
    scale : float, default 0.1
        Difference from which on the loss grows slower than linearly, in units of the linear picture, > 0.
    """

    scale: float = field(default=0.1, validator=real(above=0))

    def residuals(self, image: Any, reference: Any) -> list[Any]:
        """Differences times the root of log(1 + z) / z, with z their scaled square."""
        d = image - reference
        z = d * d * self.scale**-2
        safe = above(z, _SMALLEST, z, z * 0.0 + 1.0)
        return [d * above(z, _SMALLEST, root(log(1.0 + safe) / safe), z * 0.0 + 1.0)]


def _linear(size: Any, delta: float) -> Any:
    return root(2.0 * delta * size - delta**2)
