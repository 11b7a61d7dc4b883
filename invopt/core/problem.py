"""Problem: what is minimised, as a frozen description. Chain: the network in front of a black box, where it has one."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import attrs
import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from scipy.optimize import Bounds
from torch import Tensor

from invopt.core.objective import Capability, Objective
from invopt.core.runtime import PLAIN, Runtime

__all__ = ["Chain", "Link", "Problem", "has_weights"]


@frozen(kw_only=True, eq=False)
class Problem(abc.ABC):
    """Frozen description of what is minimised: small, picklable, without a live scene.

    A subclass gives `x0` and `open`; everything else has a default. `x_scale` is a typical size of change in each
    parameter: sigma, trust radii, learning rates and step tolerances are all in these units.

    Attributes
    ----------
    provides : Capability
        What its objective can be asked for.
    runtime : Runtime
        What its evaluations need of the processes in which they happen: nothing, or `invopt.rendering.RENDERER`.
    """

    provides: ClassVar[Capability] = Capability.FUN
    runtime: ClassVar[Runtime] = PLAIN
    # Whether each residual depends on few of many parameters, as a pixel does on texels.
    sparse: ClassVar[bool] = False
    # Name of the estimator that serves it best where none is asked for; None leaves it to general rules.
    default_estimator: ClassVar[str | None] = None
    # Evaluations that suit a run of it where no number is asked for.
    default_maxfev: ClassVar[int] = 400

    @property
    @abc.abstractmethod
    def x0(self) -> NDArray[np.float64]:
        """Default start, shape (n,)."""

    @property
    def renders(self) -> bool:
        """Whether its objective has a process to itself while it evaluates, as a renderer must."""
        return self.runtime.exclusive

    @property
    def n(self) -> int:
        """Number of parameters."""
        return self.x0.size

    @property
    def bounds(self) -> Bounds | None:
        """Box that points never leave, or None."""
        return None

    @property
    def x_scale(self) -> NDArray[np.float64]:
        """Typical size of change in each parameter, shape (n,), > 0."""
        return np.ones(self.n)

    @property
    def periods(self) -> NDArray[np.float64]:
        """Period of each parameter, shape (n,); inf where it has none."""
        return np.full(self.n, np.inf)

    @property
    def names(self) -> tuple[str, ...]:
        """Readable name of each parameter."""
        return tuple(f"x{i}" for i in range(self.n))

    @property
    def sigma(self) -> float:
        """Smoothing width to start with, in units of `x_scale`: wide enough to bridge the plateaus."""
        return 1.0

    def identity_content(self) -> dict[str, Any]:
        """What tells this problem from others, by part: values for `invopt.core.identity.digest`, start left out.

        By default the class, of which the code counts unless it is of an installed package, and all fields.
        """
        held = vars(self) if not attrs.has(type(self)) else attrs.asdict(self, recurse=False)
        return {"problem": [type(self), {name: value for name, value in held.items() if name.lstrip("_") != "x0"}]}

    @property
    def default_method(self) -> Any:
        """Method that serves it best, or its name, where that is not simply what fits the estimator; or None."""
        return None

    @property
    def samples(self) -> int | None:
        """Samples per pixel of an evaluation; None where that means nothing."""
        return None

    @property
    def x_opt(self) -> NDArray[np.float64] | None:
        """The known answer, or None."""
        return None

    @property
    def fun_opt(self) -> float | None:
        """The known minimum, or None."""
        return None

    def why_not(self, missing: Capability) -> str:
        """Why it does not provide something, and what to do about it; empty if there is nothing to say."""
        return ""

    def parameter_error(self, x: NDArray[np.float64]) -> float:
        """Mean squared distance of `x` from `x_opt`, modulo the periods; nan where no answer is known."""
        if self.x_opt is None:
            return float("nan")
        return float(np.mean(self.wrap(np.asarray(x) - self.x_opt) ** 2))

    def wrap(self, difference: NDArray[np.float64]) -> NDArray[np.float64]:
        """Shortest equivalent of a difference of points, modulo the periods."""
        with np.errstate(invalid="ignore"):
            turns = np.where(np.isinf(self.periods), 0.0, np.round(difference / self.periods) * self.periods)
        wrapped: NDArray[np.float64] = difference - np.nan_to_num(turns)
        return wrapped

    def parameters(self, x: NDArray[np.float64]) -> dict[str, Any]:
        """Values at `x` by name, in the units people think in; a float, or an array where several belong together."""
        return {name: float(value) for name, value in zip(self.names, x, strict=True)}

    def readable(self, x: NDArray[np.float64]) -> dict[str, str]:
        """Parameters by name, in the units people think in."""
        return {name: f"{value:.5g}" for name, value in zip(self.names, x, strict=True)}

    def starts(self, rng: np.random.Generator, k: int) -> NDArray[np.float64]:
        """`k` random starts of shape (k, n); by default `x0` plus half a `sigma` of Gaussian noise."""
        return self.x0 + 0.5 * self.sigma * self.x_scale * rng.standard_normal((k, self.n))

    def as_tensor(self, x: NDArray[np.float64]) -> Tensor:
        """A point as the loop works on it: float64 on the CPU, unless it is a network's weights."""
        return torch.from_numpy(x)

    def prepare(self) -> None:
        """Make what all processes share, such as pictures on disk; called once, before anything is opened."""
        return

    def chain(self) -> Chain:
        """The differentiable part in front of the black box; needs the CHAIN capability."""
        raise TypeError(f"{type(self).__name__} is no chain")

    @abc.abstractmethod
    def open(self) -> Objective:
        """Open the live objective."""


class Link(NamedTuple):
    """A network at some weights w, of shape (N,), on b inputs, and its derivatives there.

    Attributes
    ----------
    x : Tensor, shape (b, n)
        Outputs, float64 on the CPU.
    vjp : callable
        ``vjp(g)`` of shape (N,), the sum over the inputs of J'g, for `g` of shape (b, n).
    jvp : callable
        ``jvp(v)`` of shape (b, n), the products Jv, for `v` of shape (N,).
    """

    x: Tensor
    vjp: Callable[[Tensor], Tensor]
    jvp: Callable[[Tensor], Tensor]


class Chain(abc.ABC):
    """The differentiable part of a problem with the CHAIN capability: weights w to points x of an inner problem.

    The objective that such a problem opens has methods ``item_fun``, ``item_residuals``, ``item_value_and_jac`` and
    ``item_hess``. They are those of an ordinary objective, but for points that begin with the number of an item and go
    on with x.

    Attributes
    ----------
    inner : Problem
        What the black box is; its scales, bounds and sigma are those of x.
    n_items : int
        Inputs there are.
    batch_size : int
        Inputs an estimate takes, at most `n_items`.
    """

    inner: Problem
    n_items: int
    batch_size: int

    @abc.abstractmethod
    def link(self, w: Tensor, items: NDArray[np.int64]) -> Link:
        """The network at `w` on the inputs of these numbers."""


def has_weights(problem: Problem) -> bool:
    """Whether x is the weights of a network, so that a run is a training."""
    return bool(problem.provides & (Capability.CHAIN | Capability.SIDES))
