"""Sizes and budgets of the tasks of the matrix."""

from __future__ import annotations

from typing import Any

import attrs
from attrs import frozen

from invopt.core.problem import Problem
from invopt.core.registry import find, names
from invopt.core.validators import require

__all__ = ["SIZES", "budget", "distinct", "make_problem", "own_budgets"]

SIZES = ("tiny", "default", "paper")


@frozen
class _Setting:
    """Evaluation budget at each size; fields of problems without a field `size`."""

    maxfev: tuple[int, int, int]
    fields: tuple[dict[str, Any], dict[str, Any], dict[str, Any]] = ({}, {}, {})


# Chosen by hand; `docs/benchmark.rst`, "Sizes and budgets", says what each size is for.
_BOXES: tuple[dict[str, Any], dict[str, Any], dict[str, Any]] = ({"resolution": 100}, {}, {})
_SETTINGS = {
    "quad": _Setting((400, 2000, 20_000)),
    "box2": _Setting((300, 1000, 5000), _BOXES),
    "box10": _Setting((400, 2000, 50_000), _BOXES),
    "mug": _Setting((200, 300, 2000)),
    "shadow": _Setting((200, 300, 2000)),
    "bunny": _Setting((200, 300, 2000)),
    "texture": _Setting((200, 300, 50_000)),
    "mug-cnn": _Setting((6400, 20_000, 50_000)),
    "mug-cnn5": _Setting((20_000, 50_000, 100_000)),
}
# A third-party task has no budget of its own: that of the smallest rendered tasks, with some more at "default".
_OTHER = _Setting((200, 600, 2000))


def distinct(wing: str) -> dict[str, type[Any]]:
    """Registered classes of a wing, each under its shortest name: the papers'."""
    found: dict[type[Any], str] = {}
    for name, cls in names(wing).items():
        if cls not in found or len(name) < len(found[cls]):
            found[cls] = name
    return {name: cls for cls, name in found.items()}


def own_budgets() -> tuple[str, ...]:
    """Names of the tasks that have a budget of their own."""
    return tuple(_SETTINGS)


def budget(task: str, size: str) -> int:
    """Default evaluation budget of a run on a task."""
    return _SETTINGS.get(task, _OTHER).maxfev[SIZES.index(size)]


def make_problem(task: str, size: str, shared_reference: bool = False) -> Problem:
    """Return a task at one of its sizes.

    Parameters
    ----------
    task : str
        Registered name.
    size : {"tiny", "default", "paper"}
        Sets the field `size` of a problem that has it; "tiny" makes images of boxes smaller; other problems ignore it.
    shared_reference : bool, default False
        Render the target with the seed of every render, as the paper's code does; for rendered tasks only.
    """
    require("size", size in SIZES, f"one of {', '.join(SIZES)}", size)
    cls = find("problems", task)
    known = attrs.fields_dict(cls)
    fields: dict[str, Any] = {"size": size} if "size" in known else {}
    fields |= _SETTINGS.get(task, _OTHER).fields[SIZES.index(size)]
    if shared_reference and "shared_reference" in known:
        fields["shared_reference"] = True
    problem: Problem = cls(**fields)
    return problem
