"""Separable: what shades is solved for at each point of what moves."""

from __future__ import annotations

from typing import Any, ClassVar

from attrs import field, frozen
from torch import Tensor

from invopt.plugin import Estimate, Optimizer, Oracle, Order, Status, instance

from .least_surprise import LeastSurprise

__all__ = ["Separable"]


@frozen(kw_only=True)
class Separable(Optimizer):
    r"""Eliminate what shades by least squares, and let another method find what moves.

    For problems with both, such as the place of an object together with its texture, its colour and the lights. A
    picture is nearly linear in the texels, colours and lights (`Problem.shades`), and its whole sparse Jacobian by them
    comes from the light paths of one render (`Capability.SHADING`). So at each point p of the parameters that move,
    those that shade are solved for, within their bounds:

    .. math:: r(p) = J s - b, \qquad s = \arg\min_s |J s - b|^2 + \lambda (s - s_0)^T P (s - s_0) .

    What no shading explains, r, is a function of p alone [1]_. The run minimises it with the estimator and the method
    `inner`, as if there were no other parameters. The prior P keeps values near their start and neighbouring texels
    alike, in units of `x_scale`; its weight is the mean square that is left over, so that far from the answer texels
    change together, and near it each by itself.

    The answer of the parameters that move is the mean over several seeds, with its error bars. The shading is then
    solved for once more, from the mean Jacobian of all seeds there.

    Parameters
    ----------
    inner : Optimizer, default LeastSurprise()
        Method for the parameters that move.

    Raises
    ------
    TypeError, ValueError
        If `inner` is no method.

    See Also
    --------
    invopt.estimators.Kriging : the estimator for it.
    invopt.estimators.SparseGaussNewton : where nothing moves.

    Notes
    -----
    Each evaluation of the search takes residuals with their Jacobian and counts as two. Prefer several pictures: from
    one, a texture may imitate the effect of a motion.

    References
    ----------
    .. [1] Golub, Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems whose variables
       separate", SIAM J. Numer. Anal. 10(2), 1973.

    Examples
    --------
    >>> Separable()
    Separable(inner=LeastSurprise(radius=2.0, max_radius=3.0))
    """

    eliminates: ClassVar[bool] = True

    inner: Optimizer = field(factory=LeastSurprise, validator=instance(Optimizer))

    @property
    def requires(self) -> Order:  # type: ignore[override]
        """What `inner` requires."""
        return self.inner.requires

    @property
    def noise_aware(self) -> bool:  # type: ignore[override]
        """As of `inner`."""
        return self.inner.noise_aware

    @property
    def judges_steps(self) -> bool:  # type: ignore[override]
        """As of `inner`."""
        return self.inner.judges_steps

    def init(self, x0: Tensor) -> Any:
        """State of `inner`."""
        return self.inner.init(x0)

    def recognises(self, state: Any, x0: Tensor) -> bool:
        """Whether `inner` recognises the state."""
        return self.inner.recognises(state, x0)

    def step(self, x: Tensor, estimate: Estimate, state: Any, oracle: Oracle) -> tuple[Tensor, Any]:
        """Step of `inner` in the parameters that move."""
        return self.inner.step(x, estimate, state, oracle)

    def status(self, state: Any) -> Status:
        """Status of `inner`."""
        return self.inner.status(state)

    def choice(self, state: Any) -> str:
        """What `inner` has chosen."""
        return self.inner.choice(state)

    def close(self, state: Any) -> None:
        """Release the resources of `inner`."""
        self.inner.close(state)
