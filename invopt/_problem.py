"""Problem: what is minimised, as a frozen description. Objective: the live thing behind it."""

from __future__ import annotations

import abc
import enum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import attrs
import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from scipy.optimize import Bounds
from torch import Tensor

from invopt._sides import Sides

if TYPE_CHECKING:
    from invopt._chain import Chain

__all__ = ["ADJOINT", "Adjoint", "Capability", "Objective", "Problem"]


class Capability(enum.Flag):
    """What an objective can be asked for.

    TARGET: its target can be exchanged. CHAIN: it is a black box behind a differentiable one, see `Problem.chain`.
    """

    FUN = enum.auto()
    RESIDUALS = enum.auto()
    JAC = enum.auto()
    HESS = enum.auto()
    CHAIN = enum.auto()
    SIDES = enum.auto()
    TARGET = enum.auto()


@frozen
class Adjoint:
    """How a renderer differentiates: its integrator, and the longest light path whose derivative is taken.

    Attributes
    ----------
    integrator : {"prb", "prb_projective"}
    max_depth : int or None
        None for that of the scene's own integrator.
    """

    integrator: str = "prb"
    max_depth: int | None = None


ADJOINT = Adjoint()


class Objective(abc.ABC):
    """A live objective: a loaded scene, an open file, a callable; one per process.

    Points come as float64 tensors of shape (k, n) in the problem's own units and must not be modified.

    Attributes
    ----------
    chunk_size : int or None
        Rows it is handed at once: 1 for a renderer (so that a time limit or Ctrl-C takes effect between renders),
        None for a default. A fixed number, whatever the number of workers, for the bits of a result may depend on it.
    reference : ndarray, shape (h, w) or (h, w, 3), or None
        The target picture, linear, where pictures are what is compared.
    """

    chunk_size: int | None = None
    reference: NDArray[Any] | None = None

    @abc.abstractmethod
    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Values at the rows of `x`.

        Parameters
        ----------
        x : Tensor, shape (k, n)
            Points.
        seed : ndarray of int64, shape (k,)
            Seed of each row's own randomness, below 2**31. Equal seeds mean common random numbers.
        spp : int, optional
            Samples per pixel, where that means something; None for the problem's own.

        Returns
        -------
        Tensor, shape (k,)
        """

    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Residuals of shape (k, m) whose mean square is `fun`; needs the RESIDUALS capability."""
        raise TypeError(f"{type(self).__name__} has no residuals")

    def jac(self, x: Tensor, *, seed: int) -> Tensor:
        """Exact derivative of shape (n,) at `x` of shape (n,); needs the JAC capability."""
        raise TypeError(f"{type(self).__name__} has no exact derivative")

    def value_and_jac(
        self, x: Tensor, *, seed: int, spp: int | None = None, adjoint: Adjoint = ADJOINT
    ) -> tuple[float, Tensor]:
        """Value and derivative at `x` of shape (n,) in one go; needs the JAC capability.

        Parameters
        ----------
        x : Tensor, shape (n,)
            Point.
        seed : int
            Seed.
        spp : int, optional
            Samples per pixel.
        adjoint : Adjoint
            What a renderer differentiates with; others have no choice.
        """
        value = self.fun(x[None], seed=np.array([seed]), spp=spp)
        return float(value[0]), self.jac(x, seed=seed)

    def sides(self, x: Tensor, *, seed: int, step: int, differentiate_right: bool) -> Sides:
        """Both sides of the equation at points drawn with `seed`; needs the SIDES capability.

        Parameters
        ----------
        x : Tensor, shape (n,)
            Weights.
        seed : int
            Seed of the points and of everything else that is drawn.
        step : int
            Estimates made before, for what depends on the progress of a run.
        differentiate_right : bool
            Whether the right side keeps its graph.
        """
        raise TypeError(f"{type(self).__name__} has no sides")

    @property
    def blind_spots(self) -> str:
        """What the derivative is known to leave out, as a sentence; empty if nothing."""
        return ""

    def hess(self, x: Tensor, *, seed: int) -> Tensor:
        """Exact Hessian of shape (n, n) at `x` of shape (n,); needs the HESS capability."""
        raise TypeError(f"{type(self).__name__} has no exact Hessian")

    def set_target(self, target: NDArray[Any]) -> None:
        """Compare with another target from now on; needs the TARGET capability."""
        raise TypeError(f"{type(self).__name__} has no target that can be exchanged")

    def image(self, x: NDArray[np.float64], *, seed: int = 0, spp: int | None = None) -> NDArray[Any] | None:
        """Picture at `x` of shape (n,), of the shape of `reference`; None where there are no pictures."""
        return None

    def write(self, x: NDArray[np.float64], out: Path) -> list[Path]:
        """Write what else is worth a file at `x` of shape (n,) into a folder; returns the files."""
        return []

    def close(self) -> None:
        """Release what is held; called once, at the end of a run, whatever its end."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@frozen(kw_only=True, eq=False)
class Problem(abc.ABC):
    """Frozen description of what is minimised: small, picklable, without a live scene.

    A subclass gives `x0` and `open`; everything else has a default. `x_scale` is a typical size of change in each
    parameter: sigma, trust radii, learning rates and step tolerances are all in these units.

    Attributes
    ----------
    provides : Capability
        What its objective can be asked for.
    renders : bool
        Whether its objective renders with Mitsuba. The cores are then the renderer's: torch keeps to one thread during
        a run; and where a GPU renders, one process does it all.
    """

    provides: ClassVar[Capability] = Capability.FUN
    renders: ClassVar[bool] = False
    # Whether each residual depends on few of many parameters, as a pixel does on texels.
    sparse: ClassVar[bool] = False
    # Name of the estimator that serves it best where none is asked for; None leaves it to general rules.
    default_estimator: ClassVar[str | None] = None
    # Evaluations that the command line spends on it where no number is asked for.
    default_maxfev: ClassVar[int] = 400

    @property
    @abc.abstractmethod
    def x0(self) -> NDArray[np.float64]:
        """Default start, shape (n,)."""

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
        """What tells this problem from others, by part: values for `invopt.identity.digest`, start left out.

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
