"""Shares of problems solved: data profiles of the runs, as a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from invopt.bench.results.measures import data_profile

from .runs import TAUS, Row

__all__ = ["shares", "table"]


def shares(rows: Sequence[Row], budgets: Sequence[float]) -> NDArray[np.float64]:
    """Share of runs that reached each accuracy within each budget.

    Parameters
    ----------
    rows : sequence of Row
        Runs of one method.
    budgets : sequence of float, length k
        Multiples of n + 1 evaluations.

    Returns
    -------
    ndarray, shape (len(TAUS), k)
    """
    n = [row.n for row in rows]
    return np.stack([data_profile([row.costs[i] for row in rows], n, budgets) for i in range(len(TAUS))])


# What is left of a returned point that is worse than the start by more than a thousandth.
_WORSE = 1.001


def _slashed(numbers: Sequence[float]) -> str:
    return " / ".join(f"{number:g}" for number in numbers)


def table(rows: Sequence[Row], budgets: Sequence[float]) -> str:
    """Table of all methods in Markdown.

    Shares solved by a point evaluated, shares solved by the point returned, returned points that are worse than the
    start by more than a thousandth, seconds of all runs, and failures.
    """
    within = _slashed(budgets)
    header = [
        "method",
        *(f"{tau:g} within {within} (n+1)" for tau in TAUS),
        f"returned {_slashed(TAUS)}",
        "worse",
        "seconds",
        "failed",
    ]
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for method in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == method]
        cells = [" / ".join(f"{share:.2f}" for share in line) for line in shares(own, budgets)]
        seconds, failed = sum(row.seconds for row in own), sum(row.failure is not None for row in own)
        returned = " / ".join(f"{np.mean([row.left <= tau for row in own]):.2f}" for tau in TAUS)
        worse = sum(_WORSE < row.left < np.inf for row in own)
        lines.append(
            "| "
            + " | ".join([method, *cells, returned, str(worse), f"{seconds:.0f}", f"{failed} of {len(own)}"])
            + " |"
        )
    return "\n".join(lines)
