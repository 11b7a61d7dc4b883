"""Ten problems of Hock and Schittkowski with constraints, and their minima.

W. Hock, K. Schittkowski, "Test Examples for Nonlinear Programming Codes", Springer, 1981.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import LinearConstraint, NonlinearConstraint


class Constrained(NamedTuple):
    """A problem: function, start, bounds, constraints and minimum."""

    fun: object
    x0: list
    bounds: list | None
    constraints: list
    minimum: float


def at_least(g, low=0.0):
    return NonlinearConstraint(g, low, np.inf)


def _hs43(x):
    return [
        8 - x @ x - x[0] + x[1] - x[2] + x[3],
        10 - x[0] ** 2 - 2 * x[1] ** 2 - x[2] ** 2 - 2 * x[3] ** 2 + x[0] + x[3],
        5 - 2 * x[0] ** 2 - x[1] ** 2 - x[2] ** 2 - 2 * x[0] + x[1] + x[3],
    ]


ROOT = 3**0.5
PROBLEMS = {
    "6": Constrained(
        lambda x: (1 - x[0]) ** 2,
        [-1.2, 1.0],
        None,
        [NonlinearConstraint(lambda x: 10 * (x[1] - x[0] ** 2), 0, 0)],
        0.0,
    ),
    "10": Constrained(
        lambda x: x[0] - x[1],
        [-10.0, 10.0],
        None,
        [at_least(lambda x: -3 * x[0] ** 2 + 2 * x[0] * x[1] - x[1] ** 2 + 1)],
        -1.0,
    ),
    "12": Constrained(
        lambda x: 0.5 * x[0] ** 2 + x[1] ** 2 - x[0] * x[1] - 7 * x[0] - 7 * x[1],
        [0.0, 0.0],
        None,
        [at_least(lambda x: 25 - 4 * x[0] ** 2 - x[1] ** 2)],
        -30.0,
    ),
    "21": Constrained(
        lambda x: 0.01 * x[0] ** 2 + x[1] ** 2 - 100,
        [2.0, 1.0],
        [(2, 50), (-50, 50)],
        [LinearConstraint([[10, -1]], 10, np.inf)],
        -99.96,
    ),
    "24": Constrained(
        lambda x: ((x[0] - 3) ** 2 - 9) * x[1] ** 3 / (27 * ROOT),
        [1.0, 0.5],
        [(0, None)] * 2,
        [LinearConstraint([[1 / ROOT, -1], [1, ROOT], [-1, -ROOT]], [0, 0, -6], np.inf)],
        -1.0,
    ),
    "29": Constrained(
        lambda x: -x[0] * x[1] * x[2],
        [1.0, 1.0, 1.0],
        None,
        [at_least(lambda x: 48 - x[0] ** 2 - 2 * x[1] ** 2 - 4 * x[2] ** 2)],
        -16 * 2**0.5,
    ),
    "35": Constrained(
        lambda x: 9 - 8 * x[0] - 6 * x[1] - 4 * x[2] + x @ x + x[0] ** 2 + x[1] ** 2 + 2 * x[0] * (x[1] + x[2]),
        [0.5, 0.5, 0.5],
        [(0, None)] * 3,
        [LinearConstraint([[-1, -1, -2]], -3, np.inf)],
        1 / 9,
    ),
    "43": Constrained(
        lambda x: x @ x + x[2] ** 2 - 5 * x[0] - 5 * x[1] - 21 * x[2] + 7 * x[3],
        [0.0] * 4,
        None,
        [at_least(_hs43)],
        -44.0,
    ),
    "71": Constrained(
        lambda x: x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2],
        [1.0, 5.0, 5.0, 1.0],
        [(1, 5)] * 4,
        [at_least(lambda x: x.prod(), 25), {"type": "eq", "fun": lambda x, b: x @ x - b, "args": (40.0,)}],
        17.0140173,
    ),
    "76": Constrained(
        lambda x: (
            x[0] ** 2
            + 0.5 * x[1] ** 2
            + x[2] ** 2
            + 0.5 * x[3] ** 2
            - x[2] * (x[0] - x[3] - 1)
            - x[0]
            - 3 * x[1]
            - x[3]
        ),
        [0.5] * 4,
        [(0, None)] * 4,
        [LinearConstraint([[-1, -2, -1, -1], [-3, -1, -2, 1], [0, 1, 4, 0]], [-5, -4, 1.5], np.inf)],
        -4.681818,
    ),
}
