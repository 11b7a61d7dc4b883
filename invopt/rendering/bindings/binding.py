"""Base classes of bindings, which map columns of x to values of a scene."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from attrs import field, frozen, validators
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from invopt.core.formatting import shown
from invopt.core.parameters.grid import Grid
from invopt.core.priors import Gaussian
from invopt.core.quadratic.linear_rows import LinearRows
from invopt.core.validators import as_list, as_real, boolean, has_masked, instance, real, require
from invopt.exceptions import SceneError
from invopt.rendering.parameter import Kind, Parameter

__all__ = ["Binding", "Own", "ValueBinding", "as_pairs", "as_values", "logarithm", "quarter_of_brightness"]

# Returns the parameter as the scene has it; loads the scene if necessary.
Own = Callable[[], Parameter]
# The default scale is an eighth of the range of the bounds, as `x_scale` of every problem.
_SCALES_IN_BOUNDS = 8
# Default scale of a colour or a texel without an upper bound, as a share of the mean of the scene's own numbers.
_SHARE_OF_BRIGHTNESS = 0.25


def _as_names(value: Any) -> tuple[str, ...]:
    names = (value,) if isinstance(value, str) else tuple(as_list("also", value))
    for name in names:
        if not isinstance(name, str) or not name:
            raise TypeError(f"'also' must be names of parameters: {shown(value)}")
    return names


def _as_prior(value: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    if value is None:
        return None
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise TypeError(f"'prior' must be a pair (mean, std): {shown(value)}")
    found = Gaussian(*value)
    assert found.std is not None
    return found.mean, found.std


@frozen(kw_only=True, eq=False)
class Binding(abc.ABC):
    """One declared unknown of a scene, which takes some columns of x.

    Columns are in the units of the optimizer (rotations in units of some degrees, logarithms). `decode` converts them
    to scene units.

    Parameters
    ----------
    target : str
        Mitsuba's name of the object or the parameter.
    scale : float, optional
        Typical change in scene units (of the natural logarithm if the parameter is logarithmic), > 0. By default an
        eighth of the range of the bounds; if that is infinite, the default of the class.
    bounds : (low, high) or a sequence of such pairs, optional
        Closed range in scene units, one for all columns or one for each. The value in the scene must be inside if it
        is the start.
    name : str, optional
        Readable name; by default the target and the kind of change.
    prior : (mean, std), optional
        Normal prior in scene units, one pair for all columns or arrays; std is of the natural logarithm if the
        parameter is logarithmic. It counts beside the pictures by the ``noise_std`` of the scene.
    fixed : bool, default False
        Whether the parameter keeps its start: it is a column of x, but no unknown.
    """

    # Whether each column changes few pixels, and each pixel depends on few columns.
    sparse: ClassVar[bool] = False
    # Whether the binding only shades: it moves nothing, and pictures are nearly linear in what it sets.
    shades: ClassVar[bool] = False

    target: str = field(kw_only=False)
    scale: float | None = field(default=None, validator=validators.optional(real(above=0)))
    bounds: Any = field(default=None)
    name: str | None = field(default=None, validator=validators.optional(instance(str)))
    prior: tuple[NDArray[np.float64], NDArray[np.float64]] | None = field(default=None, converter=_as_prior)
    fixed: bool = field(default=False, validator=boolean)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.target, str) or not self.target:
            raise TypeError(f"'target' must be the name of an object or a parameter: {self.target!r}")
        require("name", self.name != "", "not empty", self.name)
        if self.bounds is not None:
            as_pairs(self.bounds, self.columns_known)
        for each in self.prior or ():
            fits = each.size == 1 or self.columns_known in (None, each.size)
            require("prior", fits, f"numbers, or {self.columns_known} numbers each", each.tolist())

    @property
    @abc.abstractmethod
    def label(self) -> str:
        """Readable name of the binding."""

    @abc.abstractmethod
    def parts(self, own: Own) -> tuple[str, ...]:
        """Readable name of each column within the binding, one for each column."""

    @abc.abstractmethod
    def claims(self) -> frozenset[str]:
        """Names of what the binding sets; two bindings must not have one in common."""

    @abc.abstractmethod
    def initial(self, own: Own) -> NDArray[np.float64]:
        """Columns at which the scene is unchanged."""

    @property
    def columns_known(self) -> int | None:
        """Number of columns; None if it depends on the scene."""
        return None

    def default_scale(self, own: Own) -> float:
        """Scale if a bound is infinite, in the units of the columns."""
        return 1.0

    def decode(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert columns to scene units."""
        return x.copy()

    def encode(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert scene units to columns."""
        return values.copy()

    @property
    def has_prior(self) -> bool:
        """Whether something is known of the columns beforehand."""
        return self.prior is not None

    def spread(self, std: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert standard deviations to the units of columns; those of logarithms stay."""
        return std.copy()

    def prior_rows(self, size: int, own: Own) -> LinearRows | None:
        """The prior of the columns; None if there is none."""
        if self.prior is None:
            return None
        mean, std = (np.broadcast_to(each, size) for each in self.prior)
        return Gaussian(self.encode(mean), self.spread(std)).rows(size)

    def default_bounds(self, own: Own) -> Any:
        """Bounds if none are given; None for no bounds."""
        return None

    def limits(self, size: int, own: Own) -> NDArray[np.float64]:
        """Bounds of the columns, shape (2, size)."""
        bounds = self.default_bounds(own) if self.bounds is None else self.bounds
        if bounds is None:
            return np.stack([np.full(size, -np.inf), np.full(size, np.inf)])
        return np.stack([self.encode(side) for side in as_pairs(bounds, size).T])

    def x_scale(self, size: int, own: Own) -> NDArray[np.float64]:
        """Typical change of the columns, shape (size,)."""
        if self.scale is not None:
            return np.full(size, self.scale)
        low, high = self.limits(size, own)
        with np.errstate(invalid="ignore"):
            finite = np.isfinite(high - low)
            return np.where(finite, (high - low) / _SCALES_IN_BOUNDS, 1.0 if finite.all() else self.default_scale(own))

    def periods(self, size: int, own: Own) -> NDArray[np.float64]:
        """Period of the columns, shape (size,)."""
        return np.full(size, np.inf)

    def grid(self, own: Own) -> Grid | None:
        """The columns as a grid, counted from 0; None if they are not neighbours."""
        return None


@frozen(kw_only=True, eq=False)
class ValueBinding(Binding):
    """Binding that sets parameters to values, whatever the scene has.

    The default `bounds` depend on the parameter: no upper bound for emitted light, [0, 1] for a reflectance.

    Parameters
    ----------
    also : str or sequence of str, default ()
        Further parameters that get the same values, as lamps of one kind do.
    """

    # Whether its values are columns themselves, each of them, in some order.
    copies: ClassVar[bool] = False

    also: tuple[str, ...] = field(default=(), converter=_as_names)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        distinct = len({self.target, *self.also}) == 1 + len(self.also)
        require("also", distinct, f"names that differ from each other and from {self.target!r}", self.also)

    @property
    def label(self) -> str:
        """The name given, else that of the parameter."""
        return self.name or self.target

    def claims(self) -> frozenset[str]:
        """The names of the parameters."""
        return frozenset({self.target, *self.also})

    def default_bounds(self, own: Own) -> Any:
        """The range of such a parameter."""
        return own().low, own().high

    def all_values(self, x: Tensor, own: Own) -> dict[str, Tensor]:
        """The values of `values`, and the same for the further parameters."""
        found = self.values(x, own)
        return found | dict.fromkeys(self.also, found[self.target]) if self.also else found

    @abc.abstractmethod
    def values(self, x: Tensor, own: Own) -> dict[str, Tensor]:
        """Values by key, differentiable with respect to `x` of shape (size,)."""

    def require_kind(self, parameter: Parameter, *kinds: Kind) -> None:
        """Raise if a parameter is of another kind, and say which binding can set it."""
        if parameter.kind not in kinds:
            wanted = " or ".join(kind.value for kind in kinds)
            shape = "" if parameter.kind is Kind.DISCRETE else f" of shape {parameter.value.shape}"
            advice = _ADVICE[parameter.kind].format(self.target)
            raise SceneError(f"{self.target!r} is {parameter.kind.value}{shape}, not {wanted}: {advice}")


# Advice for a parameter of each kind.
_ADVICE = {
    Kind.NUMBER: "use Value",
    Kind.COLOR: "use Color, or Value for its brightness alone",
    Kind.TEXELS: "use Texels",
    Kind.GRID: "use Numbers",
    Kind.POINT: "use Translation, or Custom with a function that returns {{{0!r}: three numbers}}",
    Kind.POSE: "use Translation, Rotation, Scale or Pose with the name of the object",
    Kind.BUFFER: "use Numbers",
    Kind.DISCRETE: "no binding can set it",
}


def as_pairs(bounds: Any, size: int | None) -> NDArray[np.float64]:
    """Bounds as an array of shape (size, 2); one pair is repeated for all columns."""
    pairs: Sequence[Any]
    try:
        pairs = as_list("bounds", bounds)
        if len(pairs) == 2 and not any(isinstance(side, Sequence | np.ndarray) for side in pairs):
            pairs = [pairs]
        rows = [[_bound(low, -np.inf), _bound(high, np.inf)] for low, high in pairs]
    except (TypeError, ValueError):
        raise ValueError(f"'bounds' must be a pair (low, high), or one pair for each column: {shown(bounds)}") from None
    for low, high in rows:
        require("bounds", low < high, "low < high", (low, high))
    if size is None:
        return np.array(rows)
    if len(rows) not in (1, size):
        raise ValueError(f"'bounds' must be one pair or {size}, one for each column: {shown(bounds)}")
    return np.array(np.broadcast_to(np.array(rows), (size, 2)))


def as_values(value: ArrayLike, size: int, label: str) -> NDArray[np.float64]:
    """Scene values as a finite vector of shape (size,); one number is repeated."""
    if has_masked(value):
        raise ValueError(f"{label!r} must have no masked elements: {shown(value)}")
    try:
        array = np.asarray(value, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        raise TypeError(f"{label!r} takes {size} finite numbers: {shown(value)}") from None
    if array.size == 1:
        array = np.repeat(array, size)
    if array.size != size or not np.isfinite(array).all():
        raise ValueError(f"{label!r} takes {size} finite numbers: {shown(value)}")
    return array


def quarter_of_brightness(own: Own) -> float:
    """Default scale without an upper bound.

    A quarter of the mean of the numbers in the scene, or 0.25 if they are 0.
    """
    return _SHARE_OF_BRIGHTNESS * (own().size or 1.0)


def logarithm(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Natural logarithm of values or bounds; -inf if 0, negative or missing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(np.maximum(values, 0.0))


def _bound(value: Any, missing: float) -> float:
    return missing if value is None else as_real("bounds", value)
