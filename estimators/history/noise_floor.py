"""When a descent has come down to the noise, and what is done there."""

from __future__ import annotations

import math

from attrs import evolve, frozen

from ..least_squares.parameter_covariance import block_size

__all__ = ["ONLY_NOISE", "RAISE", "NoiseFloor"]

# A descent ends above the floor where its lowest value exceeds this multiple of the noise ...
_ABOVE = 1.5
# ... by more than this share of what it started with above the noise, or of the noise where that is more.
_LEFT = 0.15
# Four times the samples should quarter the residuals' mean square; above this ratio other errors prevail.
_PAYS = 0.6
RAISE = 4
ONLY_NOISE = "values differ, but by no more than noise"
_ABOVE_NOISE = (
    "the residuals stay far above their noise: there may be a lower minimum elsewhere, or none that matches the target"
)
_ABOVE_ZERO = (
    "residuals remain that no noise explains: there may be a lower minimum elsewhere, or none that matches the target"
)
# Standard errors of a mean square that noise alone does not come to.
_CERTAIN = 4.0


@frozen(kw_only=True, eq=False)
class NoiseFloor:
    """What is known of the noise.

    Attributes
    ----------
    spp : int or None
        The problem's own samples per pixel; None where there are none to raise.
    restarts : int
        How often the width may still go back.
    factor : int
        By how much the samples per pixel have been raised.
    noise : float or None
        Mean square of the residuals' noise with the problem's own samples per pixel, once measured.
    before : float or None
        Mean square of the residuals at the answer, before the last raise.
    """

    spp: int | None
    restarts: int
    factor: int = 1
    noise: float | None = None
    before: float | None = None

    @property
    def raised(self) -> int | None:
        """Samples per pixel to ask for; None for the problem's own."""
        return None if self.spp is None or self.factor == 1 else self.spp * self.factor

    @property
    def level(self) -> float:
        """Mean square of the noise with as many samples per pixel as there now are."""
        assert self.noise is not None
        return self.noise / self.factor

    @property
    def too_high(self) -> str:
        """What to say of a run whose descents have all ended above the noise."""
        return _ABOVE_NOISE if self.level > 0 else _ABOVE_ZERO

    def is_above(self, lowest: float, top: float) -> bool:
        """Whether a descent from `top`, with the problem's own samples, to `lowest` ended above the noise."""
        assert self.noise is not None
        return lowest > _ABOVE * self.level + _LEFT * max(top - self.noise, self.noise)

    def has_signal(self, top: float, n: int, m: int) -> bool:
        """Whether a mean square of m residuals, at the start, was more than noise, which those of a block may share."""
        assert self.noise is not None
        return top - self.noise > _CERTAIN * self.noise * math.sqrt(2 * block_size(n, m) / m)

    def can_raise(self, value: float, limit: int) -> bool:
        """Whether more samples per pixel are allowed, and still lowered the residuals when last raised."""
        if self.spp is None or self.factor * RAISE > limit:
            return False
        return self.before is None or value < _PAYS * self.before

    def measured(self, level: float) -> NoiseFloor:
        """With the noise found at the present samples per pixel."""
        return evolve(self, noise=level * self.factor)

    def restarted(self) -> NoiseFloor:
        """With one descent less to go, and the problem's own samples per pixel."""
        return evolve(self, restarts=self.restarts - 1, factor=1, before=None)

    def after_raise(self, value: float) -> NoiseFloor:
        """The next level, `value` being the residuals' mean square at this one."""
        return evolve(self, factor=self.factor * RAISE, before=value)
