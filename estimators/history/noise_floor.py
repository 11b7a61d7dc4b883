"""What is known of the noise of residuals, and whether a descent has reached it."""

from __future__ import annotations

import math

from attrs import evolve, frozen

from ..least_squares.parameter_covariance import block_size

__all__ = ["MAX_HIDDEN", "ONLY_NOISE", "SIGMA_GROWTH", "SPP_FACTOR", "NoiseFloor"]

# A descent ended above the noise if its lowest value exceeds this multiple of the noise ...
# Measured (tests/benchmarks/constants.py): with 0.75 and 3, 97 % more and as many evaluations to the answer; 15 % more
# and as many in all.
_NOISE_MULTIPLE = 1.5
# ... by more than this share of the first values' excess over the noise, or of the noise if that is larger.
# Measured (tests/benchmarks/constants.py): with 0.075 and 0.3, 39 % more and 5 % fewer evaluations to the answer; 13 %
# more and 3 % fewer in all.
_MAX_EXCESS = 0.15
# Factor by which samples per pixel are raised: 4 halves the standard deviation of the noise.
# Measured (tests/benchmarks/constants.py): with 2 and 8, as many and 16 % fewer evaluations.
SPP_FACTOR = 4
# Such a raise should quarter the residuals' mean square; above this ratio other errors prevail.
# Measured (tests/benchmarks/constants.py): with 0.3 and 1.2, 4 % fewer and as many evaluations.
_MAX_RATIO_OF_RAISE = 0.6
# Standard errors of a mean square above which it is more than noise; by chance, 3 in 100,000.
_SIGNAL_ERRORS = 4.0
# Factor of sigma if noise hides the slope or the curvature.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 0.75 and 3, so that its tasks hardly reach it.
SIGMA_GROWTH = 1.5
# Estimates in a row in which noise may hide the slope or the curvature before the run ends as unsure.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 16 and 64.
MAX_HIDDEN = 32
ONLY_NOISE = "the values differ by no more than the noise"
_ABOVE_NOISE = (
    "the residuals stay far above their noise: another minimum may exist, or the model cannot match the target"
)
_ABOVE_ZERO = "residuals remain that no noise explains: another minimum may exist, or the model cannot match the target"


@frozen(kw_only=True, eq=False)
class NoiseFloor:
    """What is known of the noise of residuals.

    Attributes
    ----------
    spp : int or None
        The problem's own samples per pixel; None if it has none.
    restarts : int
        Restarts left.
    factor : int
        Factor by which the samples per pixel have been raised.
    noise : float or None
        Mean square of the residuals' noise with the problem's own samples per pixel; None until it is measured.
    before : float or None
        Mean square of the residuals at the answer before the last raise.
    """

    spp: int | None
    restarts: int
    factor: int = 1
    noise: float | None = None
    before: float | None = None

    @property
    def raised(self) -> int | None:
        """Samples per pixel to render with; None for the problem's own."""
        return None if self.spp is None or self.factor == 1 else self.spp * self.factor

    @property
    def level(self) -> float:
        """Mean square of the noise with the present samples per pixel."""
        assert self.noise is not None
        return self.noise / self.factor

    @property
    def too_high(self) -> str:
        """Message of a run whose descents have all ended above the noise."""
        return _ABOVE_NOISE if self.level > 0 else _ABOVE_ZERO

    def is_above(self, lowest: float, top: float) -> bool:
        """Whether a descent from `top` to `lowest` ended above the noise."""
        assert self.noise is not None
        return lowest > _NOISE_MULTIPLE * self.level + _MAX_EXCESS * max(top - self.noise, self.noise)

    def has_signal(self, top: float, n: int, m: int) -> bool:
        """Whether the first mean square, `top`, exceeded noise that blocks may share."""
        assert self.noise is not None
        return top - self.noise > _SIGNAL_ERRORS * self.noise * math.sqrt(2 * block_size(n, m) / m)

    def can_raise(self, value: float, limit: int) -> bool:
        """Whether samples per pixel may be raised again.

        They may within the limit, if the last raise lowered the residuals.
        """
        if self.spp is None or self.factor * SPP_FACTOR > limit:
            return False
        return self.before is None or value < _MAX_RATIO_OF_RAISE * self.before

    def measured(self, level: float) -> NoiseFloor:
        """Copy with a noise measured at the present samples per pixel."""
        return evolve(self, noise=level * self.factor)

    def restarted(self) -> NoiseFloor:
        """Copy with one restart less, and the problem's own samples per pixel."""
        return evolve(self, restarts=self.restarts - 1, factor=1, before=None)

    def after_raise(self, value: float) -> NoiseFloor:
        """Copy with raised samples per pixel.

        `value` is the residuals' mean square before the raise.
        """
        return evolve(self, factor=self.factor * SPP_FACTOR, before=value)
