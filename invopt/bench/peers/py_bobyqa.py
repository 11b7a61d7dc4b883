"""PyBOBYQA: the package Py-BOBYQA, which interpolates values quadratically."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import field, frozen

from invopt.optimizers.external.search import Array, Search
from invopt.plugin import boolean, real

from .packages import answer_of, require_package

__all__ = ["PyBOBYQA"]


@frozen(kw_only=True)
class PyBOBYQA(Search):
    """Py-BOBYQA: a trust region on a quadratic through values, BOBYQA's successor.

    It runs with the defaults of the package.

    Parameters
    ----------
    rhobeg : float, default 1
        First trust radius, in units of `x_scale`, > 0; smaller where the bounds are closer together.
    noisy : bool, default False
        The package's `objfun_has_noise`, which makes it restart and shrink the radius more slowly.

    Raises
    ------
    ModuleNotFoundError
        If ``Py-BOBYQA`` is not installed; the extra ``bench-gpl`` contains it.

    References
    ----------
    .. [1] Cartis, Fiala, Marteau, Roberts, "Improving the Flexibility and Robustness of Model-Based Derivative-Free
       Optimization Solvers", ACM Trans. Math. Softw. 45(3), 2019.
    """

    rhobeg: float = field(default=1.0, validator=real(above=0))
    noisy: bool = field(default=False, validator=boolean)

    def __attrs_post_init__(self) -> None:
        require_package("Py-BOBYQA", "pybobyqa")

    def search(self, fun: Callable[[Array], float], x0: Array, low: Array, high: Array, seed: int) -> Array:
        """Search until the package's own criteria are met."""
        import pybobyqa

        own: Any = {"seed": seed, "rhobeg": self.rhobeg, "noisy": self.noisy}
        return answer_of("Py-BOBYQA", pybobyqa.solve, fun, x0, (low, high), **own)
