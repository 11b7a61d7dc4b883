"""Correction: the answer by residuals under seeds that the descent has not used."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from invopt.core.model import Model
from invopt.run.refining.derivatives import Measured
from invopt.run.refining.replicates import Hidden, Replicates

__all__ = ["Corrected", "corrected"]

Array = NDArray[np.float64]

# Renders under other seeds, at the best point and then at its correction.
_FIRST_REPLICATES, _REPLICATES = 3, 8
# Most rounds of corrections, and standard deviations of an answer up to which a correction is the last: the mean of
# three answers differs from that of eight by .7 of them.
_MOST_ROUNDS, _SETTLED = 5, 2.0
# Distance, in units of sigma, over which slopes may be others: a fifth of the differences that measured them. Farther
# from the edge of a plateau, they take it for a minimum.
_ELSEWHERE = 0.03
# Largest correction, and largest scatter of the answers under one seed each, in units of sigma, over which slopes hold.
_FARTHEST, _LARGEST_SCATTER = 1.0, 0.3

_UNSETTLED = "corrections by residuals under other seeds do not settle"
_UNDETERMINED = (
    "the residuals do not determine all parameters: some can change together, or alone, without changing any"
)


class Corrected(NamedTuple):
    """An answer, those under one seed each of shape (k, n), and residuals (k, m).

    `hess` is the derivative of their projection, shape (n, n); `significant`, whether noise alone would not give it.
    """

    x: Array
    answers: Array
    residuals: Array
    hess: Array
    significant: bool


def corrected(replicates: Replicates, model: Model | None, x: Array, unit: float) -> Corrected | Hidden | str:
    """Corrected point, or why there is none.

    A model's slopes contain the noise of its samples, so that steps by them alone would be too short, and so would
    error bars. They serve as instrumental variables: how the projection of residuals onto them changes with each
    parameter is measured, under seeds of its own, where the answer is.
    """
    near, measured = _by_differences(replicates, x, unit) if model is None else _by_model(replicates, model, x)
    where = near
    for _ in range(_MOST_ROUNDS):
        if not isinstance(measured, Measured):
            return measured
        rows = replicates.at(near, _REPLICATES)
        answers = replicates.answers(near, measured.instrument, rows)
        if answers is None:
            return _UNDETERMINED
        before, near = near, replicates.inside(answers.mean(0))
        scatter, moved = answers.std(0, ddof=1), np.abs(near - x)
        if bool((moved > _FARTHEST * unit).any()):
            return Hidden(int(moved.argmax()))
        if bool((np.abs(near - where) > _ELSEWHERE * unit + scatter).any()):
            where = near
            measured = replicates.measured_again(model, near, unit, measured.instrument, rows)
        elif _is_settled(near - before, answers):
            # Wide answers lie outside of where the slopes hold.
            wide = bool((scatter > _LARGEST_SCATTER * unit).any())
            if wide:
                return Hidden(int(scatter.argmax()))
            return Corrected(near, answers, rows, measured.instrument.hess, measured.significant)
    return _UNSETTLED


def _by_model(replicates: Replicates, model: Model, x: Array) -> tuple[Array, Measured | Hidden | str]:
    """Corrected point by a model's slopes, and an instrument or why there is none."""
    first = replicates.at(x, _FIRST_REPLICATES)
    instrument = model.instrument(x, first)
    answers = replicates.answers(x, instrument, first)
    if answers is None:
        return x, _UNDETERMINED
    near = replicates.inside(answers.mean(0))
    if bool((np.abs(near - x) > _LARGEST_SCATTER * model.unit).any()):
        # The model's slopes do not hold so far away.
        near = x
    return near, replicates.calibrated(model, near, instrument)


def _by_differences(replicates: Replicates, x: Array, unit: float) -> tuple[Array, Measured | Hidden | str]:
    """Corrected point by differences, and an instrument or why there is none.

    Differences and correction are repeated until the point no longer moves.
    """
    for _ in range(_MOST_ROUNDS):
        first = replicates.at(x, _FIRST_REPLICATES)
        # Slopes elsewhere are others.
        measured = replicates.measured(x, unit, first)
        if isinstance(measured, Hidden):
            break
        answers = replicates.answers(x, measured.instrument, first)
        if answers is None:
            return x, _UNDETERMINED
        before, x = x, replicates.inside(answers.mean(0))
        if _is_settled(x - before, answers):
            break
    return x, measured


def _is_settled(moved: Array, answers: Array) -> bool:
    """Whether a correction is no longer than the scatter of the answers."""
    return bool((np.abs(moved) <= _SETTLED * answers.std(0, ddof=1)).all())
