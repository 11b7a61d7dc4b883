"""AdaptiveSigma, a sigma that follows the steps and the samples.

It shrinks as steps get shorter and grows where samples do not differ.
"""

from __future__ import annotations

from attrs import field, frozen, validators

from invopt.core.validators import integer, real

__all__ = ["AdaptiveSigma", "AdaptiveWidth"]

# A step of at least this share of sigma counts as one to the bound: a trust-region step is cut at the bound only up to
# rounding, and projection onto a box shortens it a little.
_AT_BOUND = 0.98


@frozen(kw_only=True)
class AdaptiveSigma:
    """Rule by which sigma follows a run whose steps are at most about one sigma long.

    Parameters
    ----------
    start : float, optional
        First sigma, in units of `x_scale`, > 0; by default the problem's `sigma`.
    shrink : float, default 0.75
        Factor after a step inside the bound, or one that turned back, in (0, 1).
    stretch : float, default 1
        Factor after a step to the bound, in (0, 2]: the minimum is further away than sigma.
    grow : float, default 1.25
        Factor where the samples do not differ, in [1, 2]: the run then stays where it is and samples further away.
    gate : float, default 0.03
        Samples whose spread is below this share of their mean count as not different, >= 0.
    most : float, default 1.25
        Largest sigma, as a multiple of the first, >= 1.
    strides : int, default 6
        Steps to the bound in a row, none of which turned back, after which every further one multiplies sigma by
        `grow`, beyond `most` too: the answer is far away; at least 1.
    least : float, default 0.001
        Smallest sigma, as a multiple of the first, in (0, 1].
    """

    start: float | None = field(default=None, validator=validators.optional(real(above=0)))
    shrink: float = field(default=0.75, validator=real(above=0, below=1))
    stretch: float = field(default=1.0, validator=real(above=0, maximum=2))
    grow: float = field(default=1.25, validator=real(minimum=1, maximum=2))
    gate: float = field(default=0.03, validator=real(minimum=0))
    most: float = field(default=1.25, validator=real(minimum=1))
    strides: int = field(default=6, validator=integer(1))
    least: float = field(default=1e-3, validator=real(above=0, maximum=1))

    def after_step(self, sigma: float, first: float, length: float, *, back: bool, strides: int = 0) -> float:
        """Return sigma after a step.

        Parameters
        ----------
        sigma : float
            Sigma at which the step was taken.
        first : float
            First sigma of the run.
        length : float
            Length of the step.
        back : bool
            Whether it turned back.
        strides : int, default 0
            Steps to the bound in a row before it.
        """
        if not self.is_stride(sigma, length, back=back):
            return max(sigma * self.shrink, self.least * first)
        if strides >= self.strides:
            return sigma * self.grow
        return max(sigma, min(sigma * self.stretch, self.most * first))

    @staticmethod
    def is_stride(sigma: float, length: float, *, back: bool) -> bool:
        """Whether a step went to the bound without turning back."""
        return length >= _AT_BOUND * sigma and not back

    def after_staying(self, sigma: float, first: float) -> float:
        """Return sigma after samples that did not differ."""
        return min(sigma * self.grow, self.most * first)


# Name before version 0.2.
AdaptiveWidth = AdaptiveSigma
