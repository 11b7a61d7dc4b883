"""Sizes and budgets of the tasks of the matrix. One line each."""

from __future__ import annotations

from typing import Any

import attrs
from attrs import frozen

from invopt.core.problem import Problem
from invopt.core.registry import find, names
from invopt.core.validators import require

__all__ = ["SIZES", "budget", "distinct", "make_problem"]

SIZES = ("tiny", "default", "paper")


@frozen
class _Setting:
    """Evaluations a run may spend at each size, and fields of problems that have no `size` of their own."""

    maxfev: tuple[int, int, int]
    fields: tuple[dict[str, Any], dict[str, Any], dict[str, Any]] = ({}, {}, {})


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
# A third-party task says nothing of its budget.
_OTHER = _Setting((200, 600, 2000))


def distinct(wing: str) -> dict[str, type[Any]]:
    """Registered classes of a wing under one name each: the papers', where there is one."""
    found: dict[type[Any], str] = {}
    for name, cls in names(wing).items():
        if cls not in found or len(name) < len(found[cls]):
            found[cls] = name
    return {name: cls for cls, name in found.items()}


def budget(task: str, size: str) -> int:
    """Evaluations that a run on a task may spend, by default."""
    return _SETTINGS.get(task, _OTHER).maxfev[SIZES.index(size)]


def make_problem(task: str, size: str, shared_reference: bool = False) -> Problem:
    """Return a task at one of its sizes.

    Parameters
    ----------
    task : str
        Registered name.
    size : {"tiny", "default", "paper"}
        Its own size where it has one; a smaller picture of boxes; nothing where there is nothing to choose.
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
