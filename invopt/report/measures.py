"""How fast a run arrived."""

from __future__ import annotations

import math

import numpy as np

from invopt._result import OptimizeResult

__all__ = ["evaluations_to"]


def evaluations_to(result: OptimizeResult, fraction: float) -> float:
    """Evaluations after which the parameter error is below a fraction of its start and stays there.

    Parameters
    ----------
    result : OptimizeResult
        Of a problem whose answer is known.
    fraction : float
        Of the error at the start, in (0, 1): 0.01 for a reduction by 99 %.

    Returns
    -------
    float
        Cumulative evaluations; inf if the run did not arrive or did not stay.
    """
    errors = np.array([result.problem.parameter_error(x) for x in result.history["x"]])
    if len(errors) == 0:
        return math.inf
    above = np.flatnonzero(~(errors <= fraction * errors[0]))
    arrived = 0 if above.size == 0 else int(above[-1]) + 1
    return float(result.history["nfev"][arrived]) if arrived < len(errors) else math.inf
