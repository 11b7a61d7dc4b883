"""Plan: the cells of a matrix, and the reasons why other pairings cannot work."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from attrs import frozen

from invopt.core.objective import Capability
from invopt.core.problem import Problem
from invopt.core.registry import find, resolve
from invopt.core.validators import as_integer, as_real, canonical, require
from invopt.exceptions import InvoptError, UnknownNameError, suggest

from .cell import Cell, refusal
from .presets import presets
from .settings import budget, distinct, make_problem, own_budgets

__all__ = ["Plan", "all_pairings", "as_method", "make_plan"]


@frozen(kw_only=True)
class Plan:
    """Cells to run, and why other pairings are not run.

    Parameters
    ----------
    cells : tuple of Cell
        Task by task, so that a scene is loaded once; within one, seed by seed.
    refused : dict
        Reason by ``task method``; by ``task`` if it is not run at all.
    """

    cells: tuple[Cell, ...]
    refused: dict[str, str]


def all_pairings() -> list[str]:
    """Every registered estimator with every registered optimizer."""
    return [f"{e}+{o}" for e in sorted(distinct("estimators")) for o in sorted(distinct("optimizers"))]


def make_plan(
    tasks: Sequence[str] = (),
    methods: Sequence[str] = (),
    *,
    seeds: int | Iterable[int] = 20,
    size: str = "default",
    maxfev: int | None = None,
    maxtime: float = 120.0,
    shared_reference: bool = False,
) -> Plan:
    """Validate the arguments and list the cells; nothing is opened or evaluated.

    Parameters
    ----------
    tasks : sequence of str, default ()
        Registered names; if empty, all tasks that can be made from their name.
    methods : sequence of str, default ()
        Presets, or ``estimator+method`` of registered names; if empty, all presets.
    seeds : int or iterable of int, default 20
        Number of starts, from 0 on; or the starts. 0 to 19 are for reports, from 1000 on for tuning.
    size : {"tiny", "default", "paper"}, default "default"
        Size of the tasks.
    maxfev : int, optional
        Evaluation budget of a run; by default `settings.budget` of the task and size.
    maxtime : float, default 120
        Seconds a run may take before it counts as failed.
    shared_reference : bool, default False
        Render targets with the seed of every render, as the paper's code does.
    """
    chosen_seeds = _as_seeds(seeds)
    require("maxtime", as_real("maxtime", maxtime) > 0, "> 0", maxtime)
    if maxfev is not None:
        require("maxfev", as_integer("maxfev", maxfev) >= 1, ">= 1", maxfev)
    known = distinct("problems")
    chosen_tasks = list(dict.fromkeys(_as_task(name) for name in tasks)) or sorted(known)
    chosen_methods = list(dict.fromkeys(as_method(name) for name in methods)) or list(presets())
    cells: list[Cell] = []
    refused: dict[str, str] = {}
    common: dict[str, Any] = {"size": size, "maxtime": maxtime, "shared_reference": shared_reference}
    for task in chosen_tasks:
        problem = _problem(task, size, shared_reference, named=bool(tasks))
        if isinstance(problem, str):
            refused[task] = problem
            continue
        limit = budget(task, size) if maxfev is None else maxfev
        reasons = {method: refusal(problem, method, limit) for method in chosen_methods}
        refused |= {f"{task} {method}": reason for method, reason in reasons.items() if reason is not None}
        cells += [
            Cell(task=task, method=method, seed=seed, maxfev=limit, **common)
            for seed in chosen_seeds
            for method in chosen_methods
            if reasons[method] is None
        ]
    return Plan(cells=tuple(cells), refused=refused)


def _problem(task: str, size: str, shared_reference: bool, *, named: bool) -> Problem | str:
    """The problem of a task, or why the task is not run.

    An error if the user has named the task.
    """
    try:
        problem = make_problem(task, size, shared_reference)
    except TypeError as error:
        if named:
            raise InvoptError(f"task {task!r} cannot be made from its name alone: {error}") from None
        return f"cannot be made from its name alone: {error}"
    if not named and problem.provides & (Capability.CHAIN | Capability.SIDES):
        return "trains a network for about an hour: name it to run it"
    return problem


def _as_seeds(seeds: int | Iterable[int]) -> list[int]:
    if not isinstance(seeds, int):
        chosen = [as_integer("seeds", seed) for seed in seeds]
        require("seeds", bool(chosen) and min(chosen) >= 0, ">= 0, and at least one", chosen)
        return list(dict.fromkeys(chosen))
    require("seeds", as_integer("seeds", seeds) >= 1, ">= 1", seeds)
    return list(range(seeds))


def _checked(wing: str, name: str) -> str:
    """The name as given, in the registry's spelling; an error if it is unknown."""
    resolve(wing, name, wing.removesuffix("s"))
    return canonical(name)


def _as_task(name: str) -> str:
    """The paper's name of a task that has its own budget; any other name as given."""
    cls = find("problems", name)
    return next((known for known in own_budgets() if find("problems", known) is cls), canonical(name))


def as_method(name: str) -> str:
    """The name of a preset or a pair in the registry's spelling; an error if unknown."""
    wanted = canonical(name)
    if wanted in presets():
        return wanted
    if "+" in wanted:
        estimator, _, optimizer = wanted.partition("+")
        return f"{_checked('estimators', estimator)}+{_checked('optimizers', optimizer)}"
    raise UnknownNameError(
        f"unknown method {name!r}; {suggest(wanted, presets())} Or estimator+method, such as hvpa+cg"
    )
