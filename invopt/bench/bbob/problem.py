"""Bbob: a function of the set BBOB, with its values above the optimum."""

from __future__ import annotations

import contextlib
import tempfile
from typing import Any

import numpy as np
import torch
from attrs import field, frozen
from numpy.typing import NDArray
from torch import Tensor

from invopt.plugin import Objective, Problem, integer

__all__ = ["Bbob", "BbobObjective"]

Array = NDArray[np.float64]

# Starts are uniform in a box of this half-width, in which all optima lie; a typical change is 2, a quarter of its side.
_HALF_WIDTH, _SCALE = 4.0, 2.0
# File that the package writes an optimum to, in the current folder.
_FILE = "._bbob_problem_best_parameter.txt"


@frozen(kw_only=True, eq=False)
class Bbob(Problem):
    """Function of the set BBOB [1]_, without bounds.

    Its values are those above the optimum.

    Parameters
    ----------
    function : int
        Number of the function, 1 to 24.
    dimension : int
        Number of parameters: 2, 3, 5, 10, 20 or 40.
    instance : int, default 1
        Number of its shift and rotation, >= 1.

    Raises
    ------
    ModuleNotFoundError
        If ``cocoex`` is not installed; the extra ``bench`` contains its package, ``coco-experiment``.

    References
    ----------
    .. [1] Hansen, Finck, Ros, Auger, "Real-Parameter Black-Box Optimization Benchmarking 2009: Noiseless Functions
       Definitions", INRIA RR-6829, 2009.
    """

    function: int = field(validator=integer(1, 24))
    dimension: int = field(validator=integer(2, 40))
    instance: int = field(default=1, validator=integer(1))

    @property
    def x0(self) -> Array:
        """A start that function, dimension and instance determine."""
        rng = np.random.default_rng([self.function, self.instance])
        start: Array = rng.uniform(-_HALF_WIDTH, _HALF_WIDTH, self.dimension)
        return start

    @property
    def x_scale(self) -> Array:
        """2 for every parameter."""
        return np.full(self.dimension, _SCALE)

    @property
    def fun_opt(self) -> float:
        """0."""
        return 0.0

    def open(self) -> BbobObjective:
        """Return the function as an objective."""
        return BbobObjective(self)


class BbobObjective(Objective):
    """A function of the set.

    Parameters
    ----------
    problem : Bbob
        The problem.
    """

    def __init__(self, problem: Bbob) -> None:
        try:
            import cocoex
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                f"BBOB is in the package 'coco-experiment' ({error}): pip install 'invopt[bench]'"
            ) from None
        which = f"dimensions: {problem.dimension} function_indices: {problem.function}"
        self._suite = cocoex.Suite("bbob", f"instances: {problem.instance}", which)
        self._function: Any = self._suite[0]
        self._optimum = self._value(_optimum_of(self._function))

    def _value(self, x: Array) -> float:
        return float(self._function(x))

    def noise_free(self, x: Tensor) -> Array:
        """Values of shape (k,) at the rows of `x`, above the optimum."""
        with np.errstate(all="ignore"):
            return np.array([self._value(row) - self._optimum for row in x.numpy().copy()])

    def fun(self, x: Tensor, *, seed: NDArray[np.int64], spp: int | None = None) -> Tensor:
        """Values above the optimum."""
        return torch.from_numpy(self.noise_free(x))


def _optimum_of(function: Any) -> Array:
    """Return the optimum.

    The package only writes it to a file in the current folder.
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        function._best_parameter("print")
        found: Array = np.loadtxt(_FILE)
    return found
