"""Objective: the open, live side of a problem.

It is also the one way to ask a problem for evaluations.
"""

from __future__ import annotations

import abc
import enum
from collections.abc import Generator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.answers.asking import ADJOINT, Adjoint, ask, checked_derivative
from invopt.core.answers.shading import Shading
from invopt.core.outcome import UNLIMITED, Arrived, Chunk, Limits, Outcome, in_order
from invopt.core.quadratic.linear_rows import LinearRows
from invopt.core.residual_equation import Sides

__all__ = ["ADJOINT", "Adjoint", "Capability", "Objective"]


class Capability(enum.Flag):
    """What an objective offers: a problem provides some, an estimator needs some.

    FUN: values. RESIDUALS: vectors whose mean square is the value. JAC and HESS: derivatives of its own, exact or the
    renderer's. CHAIN: it is a black box behind a differentiable network, see `Problem.chain`. SIDES: both sides of a
    residual equation, see `Sides`. TARGET: its target can be replaced. SHADING: residuals with their sparse Jacobian by
    what shades, see `Problem.shades`.
    """

    FUN = enum.auto()
    RESIDUALS = enum.auto()
    JAC = enum.auto()
    HESS = enum.auto()
    CHAIN = enum.auto()
    SIDES = enum.auto()
    TARGET = enum.auto()
    SHADING = enum.auto()


# Attributes that a stand-in for an objective has too.
_DESCRIBED = (
    "chunk_size",
    "reference",
    "image_shapes",
    "target_noise",
    "noise_std",
    "n_residuals",
    "prior",
    "constraints",
)


class Objective(abc.ABC):
    """A live objective: a loaded scene, an open file, a callable; one per process.

    Points come as float64 tensors of shape (k, n) in the problem's own units and must not be modified.

    Attributes
    ----------
    chunk_size : int or None
        Rows of one call: 1 for a renderer (so that a time limit or Ctrl-C takes effect between renders), None for a
        default. It must not depend on the number of workers, because the bits of a result may depend on it.
    reference : ndarray, shape (h, w) or (h, w, 3), or None
        The target picture, linear, where pictures are compared.
    image_shapes : tuple of tuple of int
        Where residuals are pictures: the shape of each, (h, w) or (h, w, channels), in the order of the residuals.
        Residuals after those of all pictures belong to none.
    target_noise : float
        Where the target has noise of its own, such as a picture that was rendered: its variance, as a multiple of that
        of one evaluation. 0 if it has none, or nothing is known of it.
    noise_std : float or None
        Standard deviation of one residual at the truth, if it is known.
    n_residuals : int or None
        Number of residuals that are compared, if some never count, as those of masked pixels; None for all.
    prior : LinearRows or None
        Gaussian prior in `fun` and, as the last residuals, in `residuals`.
    constraints : Limits or None
        Their ranges; a method `constrained` then returns rows of the value and the constraints.
    answers_all : bool
        Whether it offers all that its problem provides; a session's owner offers what the estimator needs.
    """

    chunk_size: int | None = None
    reference: NDArray[Any] | None = None
    image_shapes: tuple[tuple[int, ...], ...] = ()
    target_noise: float = 0.0
    noise_std: float | None = None
    n_residuals: int | None = None
    prior: LinearRows | None = None
    constraints: Any = None
    answers_all: bool = True

    def described(self) -> dict[str, Any]:
        """Attributes that a stand-in for this objective, such as one for workers, has too."""
        return {name: getattr(self, name) for name in _DESCRIBED}

    def describe_as(self, described: Mapping[str, Any]) -> None:
        """Take over these attributes from another objective."""
        for name, value in described.items():
            setattr(self, name, value)

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
            Samples per pixel of a renderer; None for the problem's own.

        Returns
        -------
        Tensor, shape (k,)
        """

    def residuals(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Residuals of shape (k, m) whose mean square is `fun`.

        Needs the RESIDUALS capability.
        """
        raise TypeError(f"{type(self).__name__} has no residuals")

    def shading(self, x: Tensor, *, seed: int, spp: int | None = None) -> Shading:
        """Residuals at `x` of shape (n,) and their sparse Jacobian by what shades.

        Both come from the same random numbers. Needs the SHADING capability.
        """
        raise TypeError(f"{type(self).__name__} has no Jacobian of what shades")

    def jac(self, x: Tensor, *, seed: int) -> Tensor:
        """Exact derivative, shape (n,), at one point; needs the JAC capability."""
        raise TypeError(f"{type(self).__name__} has no exact derivative")

    def value_and_jac(
        self, x: Tensor, *, seed: int, spp: int | None = None, adjoint: Adjoint = ADJOINT
    ) -> tuple[float, Tensor]:
        """Value and derivative at `x` of shape (n,) in one call; needs the JAC capability.

        Parameters
        ----------
        x : Tensor, shape (n,)
            Point.
        seed : int
            Seed.
        spp : int, optional
            Samples per pixel.
        adjoint : Adjoint
            How a renderer differentiates; other objectives ignore it.
        """
        value = self.fun(x[None], seed=np.array([seed]), spp=spp)
        return float(value[0]), checked_derivative("jac", self.jac(x, seed=seed), tuple(x.shape))

    def evaluate(
        self,
        name: str,
        chunks: Sequence[Chunk],
        *,
        spp: int | None = None,
        limits: Limits = UNLIMITED,
        adjoint: Adjoint = ADJOINT,
        arrived: Arrived | None = None,
    ) -> Generator[Outcome | None]:
        """Evaluate chunks of points, the one way in which a run evaluates.

        Parameters
        ----------
        name : str
            Method to call: ``"fun"``, ``"residuals"``, ``"value_and_jac"``, ``"hess"``, ``"shading"``; behind a chain
            with the prefix ``"item_"``.
        chunks : sequence of Chunk
            Points and seeds.
        spp : int, optional
            Samples per pixel.
        limits : Limits
            Deadline and time limit.
        adjoint : Adjoint
            How a renderer differentiates.
        arrived : callable, optional
            ``arrived(i, outcome)`` as soon as chunk i is finished and before it is yielded: in any order, and where
            workers evaluate, in any thread, but never two calls at a time. Not called for evaluations that are not
            finished when the iterator is closed.

        Yields
        ------
        Outcome or None
            In the order of the chunks, ``values`` of shape (k,), (k, m), (k, 1 + n) for values beside derivatives,
            (k, n n), or (k, l) for packed shading. None, or the end of the iterator, for chunks not finished before the
            deadline. An exception raised here does not come from an evaluation: the workers are gone, for example.
        """
        return in_order(partial(ask, self, name, spp=spp, adjoint=adjoint), chunks, limits, arrived)

    def sides(self, x: Tensor, *, seed: int, step: int, differentiate_right: bool) -> Sides:
        """Both sides of the equation at points drawn with `seed`.

        Needs the SIDES capability.

        Parameters
        ----------
        x : Tensor, shape (n,)
            Weights.
        seed : int
            Seed of the points and of all other random draws.
        step : int
            Number of earlier estimates, for parts that depend on the progress of a run.
        differentiate_right : bool
            Whether the right side keeps its graph.
        """
        raise TypeError(f"{type(self).__name__} has no sides")

    @property
    def blind_spots(self) -> str:
        """Known omissions of the derivative, as a sentence."""
        return ""

    def hess(self, x: Tensor, *, seed: int) -> Tensor:
        """Exact Hessian of shape (n, n) at `x` of shape (n,); needs the HESS capability."""
        raise TypeError(f"{type(self).__name__} has no exact Hessian")

    def set_target(self, target: NDArray[Any]) -> None:
        """Replace the target; needs the TARGET capability."""
        raise TypeError(f"{type(self).__name__} has no target that can be replaced")

    def image(self, x: NDArray[np.float64], *, seed: int = 0, spp: int | None = None) -> NDArray[Any] | None:
        """Picture at `x` (n,), of the shape of `reference`; None if there are none."""
        return None

    def measurements(self, x: NDArray[np.float64]) -> dict[str, Any]:
        """Further entries of the result, measured at the answer at the end of a run."""
        return {}

    def write(self, x: NDArray[np.float64], out: Path) -> list[Path]:
        """Write further files for `x` of shape (n,) into a folder; returns their paths."""
        return []

    def close(self) -> None:
        """Release all resources; called once, at the end of a run, also after an error."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
