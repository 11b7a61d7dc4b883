"""A Python callable as a problem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from attrs import field, fields, frozen
from attrs.validators import optional
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import Bounds
from torch import Tensor

from invopt.plugin import (
    ADJOINT,
    Adjoint,
    Capability,
    Grid,
    Objective,
    Problem,
    as_bounds,
    as_list,
    as_vector,
    boolean,
    check_grids,
    check_scale,
    check_start,
    eighths,
    integer,
    real,
    require,
    shown,
)

from .functions.derivatives import FunctionDerivatives, as_hess, as_jac, check_derivatives, pair
from .functions.image_shapes import as_image_shapes, check_pictures
from .functions.values import as_values

__all__ = ["Function"]

# What to give for a capability that is missing.
_MISSING = {
    Capability.RESIDUALS: "residuals=True, and return them",
    Capability.JAC: "jac=..., its gradient",
    Capability.HESS: "hess=..., its Hessian",
}
# Fields that are functions.
_FUNCTIONS = ("fun", "jac", "hess")


def _as_start(value: ArrayLike) -> NDArray[np.float64]:
    return as_vector("x0", value, scalar=True)


def _as_periods(value: ArrayLike | None, n: int) -> NDArray[np.float64]:
    periods = np.full(n, np.inf) if value is None else as_vector("periods", value, size=n, finite=False)
    require("periods", bool((periods > 0).all()), "> 0", value)
    return periods


def _as_grids(value: Sequence[Grid] | Grid) -> tuple[Grid, ...]:
    return (value,) if isinstance(value, Grid) else tuple(as_list("grids", value))


@frozen(kw_only=True, eq=False)
class Function(Problem):
    """A black box given as a Python callable.

    Parameters
    ----------
    fun : callable
        ``fun(x) -> float`` for `x` of shape (n,); with `vectorized`, ``fun(X) -> (k,)`` for `X` of shape (k, n).
        With `residuals` it returns (m,) or (k, m) instead. It receives a copy of the point.
    x0 : array_like, shape (n,)
        Start.
    bounds : Bounds or sequence of pairs, optional
        Bounds, which every evaluation satisfies; equal bounds fix a parameter.
    x_scale : array_like, shape (n,), optional
        Typical change of each parameter, > 0. By default an eighth of the distance between its bounds, or 1 if that is
        infinite.
    x_opt : array_like, shape (n,), optional
        The answer, if it is known.
    sigma : float, default 1
        Initial sigma of smoothing, in units of `x_scale`.
    vectorized : bool, default False
        Whether `fun` takes several points at once.
    chunk_size : int, default 256
        Largest number of points of one call of a vectorized `fun`, and of one task of a worker.
    targeted : bool, default False
        Whether `fun` takes the keyword ``target``, with which it compares. `GreyBox` sets it for each input; otherwise
        it is None.
    seeded : bool, default False
        Whether `fun` takes the keyword ``seed``, an int, or with `vectorized` an array of shape (k,). Equal seeds must
        give equal noise.
    residuals : bool, default False
        Whether `fun` returns m residuals per point, simulated minus measured. The objective is their mean square. With
        residuals `Kriging` can be used, which needs far fewer evaluations.
    noise_std : float, optional
        Standard deviation of one residual at the truth, > 0: 1 if residuals are divided by their noise. Error bars and
        priors count by it. Only with `residuals`.
    jac : callable or True, optional
        Gradient, ``jac(x)`` of shape (n,), or with `vectorized` (k, n); it takes the same keywords as `fun`. With
        `residuals` their Jacobian, (m, n) or (k, m, n). True: `fun` returns the pair of values and gradients. The
        default estimator is then `ExactDerivative`.
    hess : callable, optional
        Hessian, symmetric, (n, n) or with `vectorized` (k, n, n). Only with `jac` and without `residuals`.
    periods : array_like, shape (n,), optional
        Period of each parameter, > 0; inf if it has none. Distances are modulo the periods, which also limit sigma.
    image_shape : tuple of int, or sequence of them, default ()
        Where residuals are pictures: the shape (h, w) or (h, w, channels) of the picture, or of each in the order of
        the residuals. `Kriging` also looks at them blurred, which finds objects from afar. Residuals after those of
        the pictures belong to none. Only with `residuals`.
    sparse : bool, default False
        Whether each residual depends on few of many parameters, as `SparseGaussNewton` needs.
    grids : sequence of Grid, default ()
        Parameters that are neighbours of each other. If each residual of a sparse problem depends on neighbours in a
        grid, `SparseGaussNewton` needs far fewer evaluations.

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
    'Kriging with LeastSurprise'
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
    image_shape: tuple[tuple[int, ...], ...] = field(default=(), converter=as_image_shapes)
    sparse: bool = field(default=False, validator=boolean)  # type: ignore[misc]
    grids: tuple[Grid, ...] = field(default=(), converter=_as_grids)
    noise_std: float | None = field(default=None, validator=optional(real(above=0)))
    jac: Any = field(default=None, converter=as_jac)
    hess: Any = field(default=None, converter=as_hess)

    def __attrs_post_init__(self) -> None:
        if not callable(self.fun):
            raise TypeError(f"'fun' must be callable: {shown(self.fun)}")
        n = self.x0.size
        box = as_bounds(self.bounds, n)
        check_start(self.x0, box, n)
        scale = eighths(box, n, 1.0) if self.x_scale is None else as_vector("x_scale", self.x_scale, size=n)
        check_scale(scale, self.x_scale)
        object.__setattr__(self, "bounds", box)
        object.__setattr__(self, "x_scale", scale)
        if self.x_opt is not None:
            object.__setattr__(self, "x_opt", as_vector("x_opt", self.x_opt, size=n))
        object.__setattr__(self, "periods", _as_periods(self.periods, n))
        require("sparse", self.residuals or not self.sparse, "False without residuals", self.sparse)
        require("noise_std", self.residuals or self.noise_std is None, "left out without residuals", self.noise_std)
        require("image_shape", self.residuals or not self.image_shape, "left out without residuals", self.image_shape)
        check_grids(self.grids, n)
        check_derivatives(self.jac, self.hess, residuals=self.residuals)

    @property
    def provides(self) -> Capability:  # type: ignore[override]
        """Values, and what the fields add: residuals, a target, derivatives."""
        provided = Capability.FUN
        if self.residuals:
            provided |= Capability.RESIDUALS
        if self.targeted:
            provided |= Capability.TARGET
        if self.jac is not None:
            provided |= Capability.JAC
        if self.hess is not None:
            provided |= Capability.HESS
        return provided

    def identity_content(self) -> dict[str, Any]:
        """The functions, by their code and all that it refers to, and the fields."""
        named = {item.name: getattr(self, item.name) for item in fields(type(self)) if item.name != "x0"}
        functions = [named.pop(name) for name in _FUNCTIONS]
        return {"problem": [type(self), named], "function": functions}

    @property
    def default_estimator(self) -> str | None:  # type: ignore[override]
        """`ExactDerivative` if derivatives are given."""
        return None if self.jac is None else "exact-derivative"

    def why_not(self, missing: Capability) -> str:
        """Which arguments would provide what is missing."""
        found = [text for flag, text in _MISSING.items() if flag in missing]
        return f"give {' and '.join(found)}" if found else ""

    def open(self) -> Objective:
        """Return the functions as an objective."""
        return _FunctionObjective(self)


class _FunctionObjective(Objective):
    def __init__(self, problem: Function) -> None:
        self._problem = problem
        self.chunk_size = problem.chunk_size if problem.vectorized else 1
        self.image_shapes = problem.image_shape
        self.noise_std = problem.noise_std
        self._fixed: dict[str, Any] = {"target": None} if problem.targeted else {}
        self._derivatives = FunctionDerivatives(problem, self._call)

    def set_target(self, target: NDArray[Any]) -> None:
        self._fixed["target"] = target

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        return self.residuals(x, seed=seed).square().mean(1) if self._problem.residuals else self._values(x, seed, ())

    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        found = self._values(x, seed, (None,))
        check_pictures(self.image_shapes, found.shape[1])
        return found

    def returned(self, x: NDArray[np.float64], seed: int) -> Any:
        """What `fun` returns at one point, as it is."""
        return self._value(x.copy(), seed)

    def _values(self, x: Tensor, seed: NDArray[np.int64], shape: tuple[int | None, ...]) -> Tensor:
        """Return what `fun` returns at the rows of `x`, each of this shape."""
        points = x.numpy().copy()
        if self._problem.vectorized:
            return torch.from_numpy(as_values(self._value(points, seed), (len(points), *shape)))
        rows = zip(points, seed, strict=True)
        return torch.from_numpy(np.stack([as_values(self._value(row, int(s)), shape) for row, s in rows]))

    def value_and_jac(
        self, x: Tensor, *, seed: int, spp: int | None = None, adjoint: Adjoint = ADJOINT
    ) -> tuple[float, Tensor]:
        value, jac = self._derivatives.value_and_jac(x.numpy(), seed)
        return value, torch.from_numpy(jac)

    def jac(self, x: Tensor, *, seed: int) -> Tensor:
        return self.value_and_jac(x, seed=seed)[1]

    def hess(self, x: Tensor, *, seed: int) -> Tensor:
        return torch.from_numpy(self._derivatives.hess(x.numpy(), seed))

    def _value(self, x: NDArray[np.float64], seed: Any) -> Any:
        returned = self._call(self._problem.fun, x, seed)
        return pair(returned)[0] if self._problem.jac is True else returned

    def _call(self, function: Callable[..., Any], x: NDArray[np.float64], seed: Any) -> Any:
        named = {**self._fixed, "seed": seed} if self._problem.seeded else self._fixed
        return function(x, **named)
