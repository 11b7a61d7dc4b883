"""Runs of methods on the set of Moré and Wild.

Each has the evaluations that it took to each accuracy.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from attrs import evolve, frozen

from invopt.bench.cell import refusal, search
from invopt.core.result import Status

from .problem import MoreWild
from .recorded import RecordedObjective

__all__ = ["TAUS", "Row", "run_all", "run_one"]

# Accuracies tau: 1e-1, 1e-3 and 1e-5 are those of Moré and Wild, section 5, Fig. 5.1 (1e-7, the fourth, is left out).
TAUS = (1e-1, 1e-3, 1e-5)


@frozen(kw_only=True)
class Row:
    """A run of a method on a problem.

    Attributes
    ----------
    problem, method : str
        Their names.
    residuals : bool
        Whether the problem offered its residuals.
    noise : float
        Standard deviation of the noise of each residual.
    seed : int
        Seed of the run and of the noise.
    n : int
        Number of parameters.
    nfev : int
        Evaluations, counted outside of the run.
    costs : tuple of float
        Evaluations until the test of Moré and Wild holds, for each of `TAUS`; inf if it never does.
    seconds : float
        Time of the run, the functions' and the benchmark's own included.
    left : float
        What the point that the run returned leaves, noise-free: (f - f_L) / (f(x_0) - f_L); inf without a result.
    failure : str or None
        Error or time limit that ended the run; what it had evaluated counts.
    """

    problem: str
    method: str
    residuals: bool
    noise: float
    seed: int
    n: int
    nfev: int
    costs: tuple[float, ...]
    seconds: float
    left: float
    failure: str | None


def run_one(problem: MoreWild, method: str, seed: int, simplex_gradients: float, maxtime: float) -> Row:
    r"""Run a method from the start of a problem.

    An accuracy :math:`\tau` is reached by the first point evaluated with

    .. math:: f(x) \le f_L + \tau (f(x_0) - f_L),

    where f is free of noise and :math:`f_L` is the best known value (eq. 2.2).

    Parameters
    ----------
    problem : MoreWild
        The problem.
    method : str
        A preset, or ``estimator+method``.
    seed : int
        Seed of the run.
    simplex_gradients : float
        Budget, in multiples of n + 1 evaluations.
    maxtime : float
        Seconds after which the run ends.
    """
    opened, x0 = problem.open(), problem.x0
    objective = RecordedObjective(opened)
    first, last = float(opened.noise_free(torch.from_numpy(x0[None].copy()))[0]), problem.fun_opt
    began, failure, left = time.perf_counter(), None, math.inf
    try:
        budget = int(simplex_gradients * (problem.n + 1))
        result = search(method, problem, objective, np.random.default_rng([seed, 1]), budget, maxtime)
        returned = float(opened.noise_free(torch.from_numpy(np.array(result.x)[None]))[0])
        left = (returned - last) / (first - last)
        if result.nfev != objective.count:
            failure = f"CellError: reports {result.nfev} evaluations, but made {objective.count}"
        elif result.status is Status.MAXTIME:
            failure = f"CellError: exceeded its time of {maxtime:g} s after {result.nfev} evaluations"
    except Exception as error:  # noqa: BLE001 - the other runs still run
        failure = f"{type(error).__name__}: {error}"
    return Row(
        problem=problem.name,
        method=method,
        residuals=problem.residuals,
        noise=problem.noise,
        seed=seed,
        n=problem.n,
        nfev=objective.count,
        costs=tuple(objective.cost_to(last + tau * (first - last)) for tau in TAUS),
        seconds=time.perf_counter() - began,
        left=left,
        failure=failure,
    )


def run_all(
    methods: Sequence[str],
    problems: Sequence[MoreWild],
    *,
    seeds: Sequence[int],
    simplex_gradients: float,
    maxtime: float,
    report: Callable[[Row], None],
) -> tuple[list[Row], dict[str, str]]:
    """Run every method on every problem from every seed, one run after the other.

    Parameters
    ----------
    methods : sequence of str
        Presets, or ``estimator+method``.
    problems : sequence of MoreWild
        Problems; the seed of their noise is that of the run.
    seeds : sequence of int
        Seeds.
    simplex_gradients, maxtime
        As of `run_one`.
    report : callable
        ``report(row)`` after each run.

    Returns
    -------
    rows : list of Row
    refused : dict of str
        Why a method cannot work, by its name; it has no rows.
    """
    rows, refused = [], {}
    for method in methods:
        reasons = (refusal(p, method, int(simplex_gradients * (p.n + 1))) for p in problems)
        reason = next((reason for reason in reasons if reason is not None), None)
        if reason is not None:
            refused[method] = reason
            continue
        for problem in problems:
            for seed in seeds:
                rows.append(run_one(evolve(problem, noise_seed=seed), method, seed, simplex_gradients, maxtime))
                report(rows[-1])
    return rows, refused
