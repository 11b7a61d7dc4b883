"""Estimators of neural radiosity, trained and timed under the same conditions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import Attribute, field, frozen
from numpy.typing import NDArray

from invopt.exceptions import NonFiniteError
from invopt.plugin import (
    OptimizeResult,
    StepDecay,
    as_real,
    find,
    instance,
    integer,
    minimize_on,
    real,
    require,
    resolve,
)

from ..objective import RadiosityObjective
from ..pictures.reference import reference
from ..presets import PAPER_LR
from ..problem import NeuralRadiosity
from .iteration_seconds import seconds_per_iteration
from .training_errors import TrainingErrors

__all__ = ["PAPER_DECAY_EVERY", "PAPER_MAXITER", "Comparison", "named_estimator"]

# Iterations of a training in the semi-gradient paper, and those after which Adam's rate falls to a third.
PAPER_MAXITER, PAPER_DECAY_EVERY = 36_000, 12_000


def _not_negative(_: object, attribute: Attribute[float], value: float) -> None:
    """Field must be a number of at least 0, inf included."""
    require(attribute.name, as_real(attribute.name, value) >= 0, ">= 0", value)


@frozen(kw_only=True, eq=False)
class Comparison:
    """Trainings of one problem that differ in the estimator and the seed only.

    Parameters
    ----------
    problem : NeuralRadiosity
        What is trained.
    lr : float, default 5e-4
        Adam's rate at the start; the default is the papers'.
    decay_every : int, default 12000
        Iterations after which the rate falls to a third; the default is the papers'.
    maxiter : int, default 36000
        Iterations of a training; the default is the papers'.
    seconds : float, default inf
        Training time after which a training ends earlier.
    every : int, default 500
        Iterations between two measurements of the errors.
    width, height : int, default 0
        Pixels of the pictures that are compared. 0: those of the camera; with one of them alone, its aspect ratio.
    spp : int, default 4
        Rays through each pixel.
    reference_spp : int, default 1024
        Paths through each pixel of the reference.
    """

    problem: NeuralRadiosity = field(validator=instance(NeuralRadiosity))
    lr: float = field(default=PAPER_LR, validator=real(above=0))
    decay_every: int = field(default=PAPER_DECAY_EVERY, validator=integer(1))
    maxiter: int = field(default=PAPER_MAXITER, validator=integer(1))
    seconds: float = field(default=math.inf, validator=_not_negative)
    every: int = field(default=500, validator=integer(1))
    width: int = field(default=0, validator=integer(0))
    height: int = field(default=0, validator=integer(0))
    spp: int = field(default=4, validator=integer(1))
    reference_spp: int = field(default=1024, validator=integer(1))

    def size(self, live: RadiosityObjective) -> tuple[int, int]:
        """Width and height of the pictures."""
        width, height = live.transport.size(0)
        if not self.width and not self.height:
            return width, height
        wide = self.width or max(1, round(self.height * width / height))
        return wide, self.height or max(1, round(self.width * height / width))

    def truth(self, live: RadiosityObjective) -> NDArray[np.float32]:
        """Path-traced reference picture, kept on disk."""
        return reference(live, spp=self.reference_spp, size=self.size(live))

    def train(
        self, live: RadiosityObjective, estimator: str, seed: int
    ) -> tuple[OptimizeResult, list[dict[str, float]]]:
        """Train once.

        Parameters
        ----------
        live : RadiosityObjective
            The open problem.
        estimator : str
            See `named_estimator`.
        seed : int
            Seed of the initial weights and of the run.

        Returns
        -------
        result : OptimizeResult
        rows : list of dict
            Errors during the training, see `TrainingErrors`; infinite at the end if the values became infinite or nan.
        """
        chosen = named_estimator(estimator)
        method = find("optimizers", "adam")(lr=StepDecay(self.lr, every=self.decay_every))
        x0 = self.problem.starts(np.random.default_rng(seed), 1)[0]
        options: dict[str, Any] = {"x0": x0, "rng": seed, "maxiter": self.maxiter, "progress": False}
        errors = TrainingErrors(live, self.truth(live), every=self.every, spp=self.spp, seconds=self.seconds)
        try:
            result = minimize_on(live, self.problem, chosen, method, callback=errors, **options)
        except NonFiniteError as error:
            result = error.result
            errors.fail(result)
        return result, errors.rows

    def times(
        self, live: RadiosityObjective, estimators: Sequence[str], *, blocks: int = 5, iterations: int = 20
    ) -> list[dict[str, Any]]:
        """Seconds per iteration of estimators: median, blocks, GPU's peak in bytes."""
        chosen = [named_estimator(name) for name in estimators]
        timed = seconds_per_iteration(live, chosen, x0=self.problem.x0, blocks=blocks, iterations=iterations)
        return [
            {"estimator": name, "median": float(np.median(spent)), "blocks": spent, "peak_bytes": memory}
            for name, (spent, memory) in zip(estimators, timed, strict=True)
        ]


def named_estimator(name: str) -> Any:
    """Return an estimator by name; ``weighted-dual-buffer:0.25`` sets its weight."""
    name, _, weight = name.partition(":")
    return find("estimators", name)(weight=float(weight)) if weight else resolve("estimators", name, "estimators")
