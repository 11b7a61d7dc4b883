"""Any Python callable as a problem."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from attrs import field, fields, frozen
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import Bounds
from torch import Tensor

from invopt._arguments import as_bounds, check_start
from invopt._problem import Capability, Objective, Problem
from invopt._validators import as_vector, boolean, has_masked, integer, real, require
from invopt.exceptions import EvaluationError

__all__ = ["Function"]


def _as_start(value: ArrayLike) -> NDArray[np.float64]:
    return as_vector("x0", value)


def _as_periods(value: ArrayLike | None, n: int) -> NDArray[np.float64]:
    periods = np.full(n, np.inf) if value is None else as_vector("periods", value, size=n, finite=False)
    require("periods", bool((periods > 0).all()), "> 0", value)
    return periods


@frozen(kw_only=True, eq=False)
class Function(Problem):
    """A black box given as a Python callable.

    Parameters
    ----------
    fun : callable
        ``fun(x) -> float`` for `x` of shape (n,); with `vectorized`, ``fun(X) -> (k,)`` for `X` of shape (k, n).
        It gets its own copy of the point. With `residuals` it returns (m,), or (k, m), instead.
    x0 : array_like, shape (n,)
        Start.
    bounds : Bounds or sequence of pairs, optional
        Box that no evaluation leaves.
    x_scale : array_like, shape (n,), optional
        Typical size of change in each parameter, > 0; by default 1.
    x_opt : array_like, shape (n,), optional
        The known answer, if any.
    sigma : float, default 1
        Smoothing width to start with, in units of `x_scale`.
    vectorized : bool, default False
        Whether `fun` takes many points at once.
    chunk_size : int, default 256
        Points that a vectorized `fun` is given at most at once; what `workers` share out.
    targeted : bool, default False
        Whether `fun` takes the keyword ``target``: what it compares with, set by `GreyBox` to the item at hand; None
        where nobody sets it.
    seeded : bool, default False
        Whether `fun` takes the keyword ``seed``: an int, or with `vectorized` an array of shape (k,). Equal seeds
        must give equal noise.
    residuals : bool, default False
        Whether `fun` returns m residuals a point, simulated minus measured; their mean square is then the objective.
        They tell which way each measurement changes, and `GaussNewton` needs far fewer evaluations.
    periods : array_like, shape (n,), optional
        Period of each parameter, > 0, inf where it has none, as most have: what counts as a distance, and how wide a
        kernel may be.
    sparse : bool, default False
        Whether each of many residuals depends on few of many parameters; `SparseGaussNewton` then serves.

    Raises
    ------
    TypeError, ValueError
        If a parameter is of the wrong kind, shape or range.

    Examples
    --------
    >>> Function(fun=lambda x: float(x @ x), x0=[1.0, 2.0]).n
    2
    >>> import invopt
    >>> steps = Function(fun=lambda x: (x > [0.3, 0.7]) - [0.0, 1.0], x0=[1.0, 0.0], residuals=True)
    >>> invopt.minimize(steps, rng=0, maxfev=40).choice.split(":")[0]
    'GaussNewton with Newton'
    """

    fun: Callable[..., Any] = field()
    x0: NDArray[np.float64] = field(converter=_as_start)
    bounds: Bounds | None = field(default=None)
    x_scale: NDArray[np.float64] = field(default=None)
    x_opt: NDArray[np.float64] | None = field(default=None)
    sigma: float = field(default=1.0, validator=real(above=0))
    vectorized: bool = field(default=False, validator=boolean)
    chunk_size: int = field(default=256, validator=integer(1))
    targeted: bool = field(default=False, validator=boolean)
    seeded: bool = field(default=False, validator=boolean)
    residuals: bool = field(default=False, validator=boolean)
    periods: NDArray[np.float64] = field(default=None)
    sparse: bool = field(default=False, validator=boolean)  # type: ignore[misc]

    def __attrs_post_init__(self) -> None:
        if not callable(self.fun):
            raise TypeError(f"'fun' must be callable: {self.fun!r}")
        n = self.x0.size
        box = as_bounds(self.bounds, n)
        check_start(self.x0, box, n)
        scale = np.ones(n) if self.x_scale is None else as_vector("x_scale", self.x_scale, size=n)
        require("x_scale", bool((scale > 0).all()), "> 0", self.x_scale)
        object.__setattr__(self, "bounds", box)
        object.__setattr__(self, "x_scale", scale)
        if self.x_opt is not None:
            object.__setattr__(self, "x_opt", as_vector("x_opt", self.x_opt, size=n))
        object.__setattr__(self, "periods", _as_periods(self.periods, n))
        require("sparse", self.residuals or not self.sparse, "False where there are no residuals", self.sparse)

    @property
    def provides(self) -> Capability:  # type: ignore[override]
        """Values, residuals where `fun` returns them, and a target where it takes one."""
        provided = Capability.FUN
        if self.residuals:
            provided |= Capability.RESIDUALS
        if self.targeted:
            provided |= Capability.TARGET
        return provided

    @property
    def fingerprints(self) -> dict[str, str]:
        """What a checkpoint belongs to: `fun` by its name, for where it lies in memory changes with every process."""
        fun = self.fun
        name = f"{getattr(fun, '__module__', '')}.{getattr(fun, '__qualname__', type(fun).__name__)}"
        kept = {item.name: getattr(self, item.name) for item in fields(type(self)) if item.name != "fun"}
        return {"problem": f"{type(self).__name__}({name}, {kept})"}

    def open(self) -> Objective:
        """Return the callable as a live objective."""
        return _FunctionObjective(self)


class _FunctionObjective(Objective):
    def __init__(self, problem: Function) -> None:
        self._problem = problem
        self.chunk_size = problem.chunk_size if problem.vectorized else 1
        self._fixed: dict[str, Any] = {"target": None} if problem.targeted else {}

    def set_target(self, target: NDArray[Any]) -> None:
        self._fixed["target"] = target

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        return self.residuals(x, seed=seed).square().mean(1) if self._problem.residuals else self._values(x, seed, ())

    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        return self._values(x, seed, (None,))

    def _values(self, x: Tensor, seed: NDArray[np.int64], shape: tuple[int | None, ...]) -> Tensor:
        """What `fun` returns at the rows of `x`, of this shape each."""
        points = x.numpy().copy()
        if self._problem.vectorized:
            return torch.from_numpy(_as_values(self._call(points, seed), (len(points), *shape)))
        rows = zip(points, seed, strict=True)
        return torch.from_numpy(np.stack([_as_values(self._call(row, int(s)), shape) for row, s in rows]))

    def _call(self, x: NDArray[np.float64], seed: Any) -> Any:
        named = {**self._fixed, "seed": seed} if self._problem.seeded else self._fixed
        return self._problem.fun(x, **named)


def _as_values(value: Any, shape: tuple[int | None, ...]) -> NDArray[np.float64]:
    """Numbers of a shape, of which None stands for any length but 0."""
    if has_masked(value):
        raise EvaluationError(
            "'fun' returned masked elements, whose values mean nothing: fill them, or leave the same residuals out at "
            "every point"
        )
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    array = np.asarray(value)
    # One number in an array of one element is what many functions return; it is not ambiguous.
    if shape == () and array.size == 1:
        array = array.reshape(())
    fits = array.ndim == len(shape) and all(
        found == wanted or (wanted is None and found > 0) for found, wanted in zip(array.shape, shape, strict=True)
    )
    if array.dtype.kind not in "biuf" or not fits:
        wanted = ", ".join("m" if length is None else str(length) for length in shape) + "," * (len(shape) == 1)
        raise EvaluationError(
            f"'fun' must return {'one real number' if shape == () else f'real numbers of shape ({wanted})'}, "
            f"got {type(value).__name__} of shape {array.shape}, dtype {array.dtype}"
        )
    return array.astype(np.float64)
