"""Objective: the live side of a problem, what it can be asked for, and the one way to ask for evaluations."""

from __future__ import annotations

import abc
import enum
from collections.abc import Generator, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from attrs import frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.core.outcome import UNLIMITED, Arrived, Chunk, Limits, Outcome, in_order
from invopt.core.residual_equation import Sides
from invopt.exceptions import WrongValueError

__all__ = ["ADJOINT", "Adjoint", "Capability", "Objective", "ask"]


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
    # Whether it answers whatever its problem provides; a session's owner answers what the estimator asks for.
    answers_all: bool = True

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
        """Evaluate chunks of points: the one way in which a run asks for values, residuals and derivatives.

        Parameters
        ----------
        name : str
            Method to ask: ``"fun"``, ``"residuals"``, ``"value_and_jac"``, ``"hess"``; behind a chain with ``"item_"``
            in front.
        chunks : sequence of Chunk
            Points and seeds.
        spp : int, optional
            Samples per pixel.
        limits : Limits
            Until when, and how long.
        adjoint : Adjoint
            What a renderer differentiates with.
        arrived : callable, optional
            ``arrived(i, outcome)`` as soon as chunk i is finished and before it is yielded: in any order, and where
            workers evaluate, in any thread, but never twice at a time. Not called for what is still under way when the
            iterator is closed.

        Yields
        ------
        Outcome or None
            In the order of the chunks, ``values`` of shape (k,), (k, m), (k, 1 + n) for values beside derivatives, or
            (k, n n). None, or none any more, for chunks not finished before the deadline. An exception here is none of
            the evaluation's: the workers are gone, say.
        """
        return in_order(partial(ask, self, name, spp=spp, adjoint=adjoint), chunks, limits, arrived)

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


def ask(objective: Objective, name: str, chunk: Chunk, *, spp: int | None, adjoint: Adjoint) -> Tensor:
    """What method `name` says to the points of a chunk; a value and its derivative in a row."""
    method = getattr(objective, name)
    if name.endswith("hess"):
        rows = zip(chunk.rows, chunk.seeds.tolist(), strict=True)
        return torch.stack([method(row, seed=seed).detach().cpu().double().reshape(-1) for row, seed in rows])
    if not name.endswith("value_and_jac"):
        return _as_tensor(method(chunk.rows, seed=chunk.seeds, spp=spp))
    found = []
    for row, seed in zip(chunk.rows, chunk.seeds.tolist(), strict=True):
        value, jac = method(row, seed=seed, spp=spp, adjoint=adjoint)
        found.append(torch.cat([torch.tensor([float(value)], dtype=torch.float64), jac.detach().cpu().double()]))
    return torch.stack(found)


def _as_tensor(values: Any) -> Tensor:
    try:
        return torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise WrongValueError(f"the objective must return a Tensor, got {type(values).__name__}") from error
