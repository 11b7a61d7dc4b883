"""Problem, what is minimised; Chain, a network in front.

A problem is a frozen description.
"""

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
from invopt.core.parameters.grid import Grid
from invopt.core.runtime import PLAIN, Runtime

__all__ = ["Chain", "Link", "Problem", "has_weights"]


@frozen(kw_only=True, eq=False)
class Problem(abc.ABC):
    """Frozen description of what is minimised: small, picklable, without a live scene.

    A subclass defines `x0` and `open`; everything else has a default. `x_scale` is a typical size of change in each
    parameter: sigma, trust radii, learning rates and step tolerances are in these units.

    Attributes
    ----------
    provides : Capability
        What its objective offers.
    runtime : Runtime
        Requirements on the processes that evaluate it: none by default; `invopt.rendering.RENDERER` if it renders.
    sparse : bool
        Whether each residual depends on few of many parameters, as a pixel depends on texels.
    default_estimator : str or None
        Name of the default estimator; None leaves it to general rules.
    default_maxfev : int
        Default budget of evaluations of the command line and of benchmarks.
    """

    provides: ClassVar[Capability] = Capability.FUN
    runtime: ClassVar[Runtime] = PLAIN
    sparse: ClassVar[bool] = False
    default_estimator: ClassVar[str | None] = None
    # The largest budget of the tasks in tests/benchmarks/auto.py but BOX10's.
    default_maxfev: ClassVar[int] = 400

    @property
    @abc.abstractmethod
    def x0(self) -> NDArray[np.float64]:
        """Default start, shape (n,)."""

    @property
    def renders(self) -> bool:
        """Whether only one thread of a process may evaluate it."""
        return self.runtime.exclusive

    @property
    def n(self) -> int:
        """Number of parameters."""
        return self.x0.size

    @property
    def bounds(self) -> Bounds | None:
        """Box that no point leaves, or None."""
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
    def grids(self) -> tuple[Grid, ...]:
        """Parameters that are neighbours of each other; see `Grid`."""
        return ()

    @property
    def shades(self) -> NDArray[np.bool_]:
        """Whether each parameter only shades, shape (n,): texels, colours, lights.

        With the SHADING capability, the objective has the Jacobian of the residuals by these, in which they are nearly
        linear.
        """
        return np.zeros(self.n, dtype=bool)

    @property
    def names(self) -> tuple[str, ...]:
        """Readable name of each parameter."""
        return tuple(f"x{i}" for i in range(self.n))

    @property
    def sigma(self) -> float:
        """First sigma of the smoothing kernel, in units of `x_scale`.

        It is large enough to bridge the plateaus.
        """
        return 1.0

    def identity_content(self) -> dict[str, Any]:
        """Content that identifies this problem, by part, without the start.

        Its values are for `invopt.core.identity.digest`. By default all fields and the class; the code of a class
        counts unless an installed package defines it.
        """
        held = vars(self) if not attrs.has(type(self)) else attrs.asdict(self, recurse=False)
        return {"problem": [type(self), {name: value for name, value in held.items() if name.lstrip("_") != "x0"}]}

    @property
    def default_method(self) -> Any:
        """Default method or its name; None for the default of the estimator."""
        return None

    @property
    def samples(self) -> int | None:
        """Samples per pixel of an evaluation; None if it does not render."""
        return None

    @property
    def x_opt(self) -> NDArray[np.float64] | None:
        """The known answer, or None."""
        return None

    @property
    def noise_std(self) -> float | None:
        """Standard deviation of one residual at the truth; None if unknown."""
        return None

    @property
    def prior(self) -> Any:
        """Prior of the parameters that `fun` contains; None if there is none."""
        return None

    @property
    def constraints(self) -> Any:
        """Ranges of constraints other than bounds; None if there are none."""
        return None

    @property
    def fun_opt(self) -> float | None:
        """The known minimum, or None."""
        return None

    def why_not(self, missing: Capability) -> str:
        """Why this problem does not provide something, and what to do; empty if unknown."""
        return ""

    def parameter_error(self, x: NDArray[np.float64]) -> float:
        """Mean squared distance of `x` from `x_opt`, modulo the periods.

        nan if no answer is known.
        """
        if self.x_opt is None:
            return float("nan")
        return float(np.mean(self.wrap(np.asarray(x) - self.x_opt) ** 2))

    def wrap(self, difference: NDArray[np.float64]) -> NDArray[np.float64]:
        """Shortest equivalent of a difference, modulo the periods."""
        with np.errstate(invalid="ignore"):
            turns = np.where(np.isinf(self.periods), 0.0, np.round(difference / self.periods) * self.periods)
        wrapped: NDArray[np.float64] = difference - np.nan_to_num(turns)
        return wrapped

    def parameters(self, x: NDArray[np.float64]) -> dict[str, Any]:
        """Values at `x` by name, in customary units.

        Each is a float, or an array for several that belong together.
        """
        return {name: float(value) for name, value in zip(self.names, x, strict=True)}

    def spread(self, x: NDArray[np.float64], errors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert standard errors of the columns at `x` to customary units."""
        return errors

    def parameter_errors(self, result: Any) -> dict[str, Any]:
        """Standard errors of `parameters`, by name; empty if the result has none."""
        found: Any = getattr(result, "x_standard_error", None)
        return {} if found is None else dict(zip(self.names, self.spread(result.x, found).tolist(), strict=True))

    def readable(self, x: NDArray[np.float64]) -> dict[str, str]:
        """Parameters at `x` by name, as texts in customary units."""
        return {name: f"{value:.5g}" for name, value in zip(self.names, x, strict=True)}

    def started(self, x0: Any) -> tuple[Problem, Any]:
        """Return the problem and its start, of shape (n,), for what was given as `x0`.

        A problem may take more than arrays, such as files, and adapt to them.
        """
        return self, x0

    def starts(self, rng: np.random.Generator, k: int) -> NDArray[np.float64]:
        """`k` random starts, shape (k, n): `x0` plus half a `sigma` of Gaussian noise."""
        return self.x0 + 0.5 * self.sigma * self.x_scale * rng.standard_normal((k, self.n))

    def as_tensor(self, x: NDArray[np.float64]) -> Tensor:
        """Return a point as the loop uses it, float64 unless it holds weights."""
        return torch.from_numpy(x)

    def prepare(self) -> None:
        """Create files that all processes share, such as pictures.

        Called once, before an objective is opened.
        """
        return

    def chain(self) -> Chain:
        """Return the network in front of the black box; needs the CHAIN capability."""
        raise TypeError(f"{type(self).__name__} has no network in front of a black box")

    @abc.abstractmethod
    def open(self) -> Objective:
        """Open the live objective."""


class Link(NamedTuple):
    """Outputs of a network for b inputs, and its derivatives there.

    The weights w have shape (N,).

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
    """Network of a problem with the CHAIN capability.

    It maps weights w to points x of an inner problem. The objective that such a problem opens has methods ``item_fun``,
    ``item_residuals``, ``item_value_and_jac`` and ``item_hess``. They are those of an ordinary objective, except that
    each point begins with the number of an item and continues with x.

    Attributes
    ----------
    inner : Problem
        Problem of the black box; its scales, bounds and sigma are those of x.
    n_items : int
        Number of inputs.
    batch_size : int
        Inputs of one estimate, at most `n_items`.
    """

    inner: Problem
    n_items: int
    batch_size: int

    @abc.abstractmethod
    def link(self, w: Tensor, items: NDArray[np.int64]) -> Link:
        """Evaluate the network with weights `w` on the inputs of these numbers."""


def has_weights(problem: Problem) -> bool:
    """Return whether x holds the weights of a network, so that a run trains it."""
    return bool(problem.provides & (Capability.CHAIN | Capability.SIDES))
