"""Settings of the command line, as ``NAME=VALUE``."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import attrs

from invopt.core import schedules
from invopt.core.estimator import Estimator
from invopt.core.formatting import shown
from invopt.core.optimizer import Optimizer
from invopt.core.problem import Problem
from invopt.core.registry import find, kebab
from invopt.core.schedules import Schedule
from invopt.core.validators import as_real, require, with_fields
from invopt.exceptions import suggest
from invopt.run.default_parts import choose

__all__ = ["Settings", "as_settings", "check_settings", "make_parts"]

# What settings of the parts begin with.
PARTS = ("estimator", "method")
_SCHEDULES: dict[str, Any] = {
    kebab(name): getattr(schedules, name) for name in schedules.__all__ if name[0].isupper() and name != "Schedule"
}
# Values by the names of fields; a mapping for fields of a field.
Settings = dict[str, Any]


def as_settings(texts: Sequence[str]) -> Settings:
    """Read ``NAME=VALUE``, where NAME may be ``FIELD.FIELD`` of a field's own fields.

    Values are read as JSON if possible, else taken as text.
    """
    found: Settings = {}
    for text in texts:
        key, equals, value = text.partition("=")
        names = key.split(".")
        require("--set", bool(equals) and all(names), "NAME=VALUE, with a name such as 'n_points' or 'method.lr'", text)
        inside = found
        for name in names[:-1]:
            inside = inside.setdefault(name, {})
            require("--set", isinstance(inside, dict), f"either {name}=VALUE or {name}.FIELD=VALUE, not both", text)
        inside[names[-1]] = _read(value)
    return found


def check_settings(name: str, settings: Settings) -> None:
    """Refuse settings that are fields of neither the problem nor a part."""
    own = [key for key in settings if key not in PARTS]
    if not own:
        return
    cls = find("problems", name)
    known = {item.alias for item in attrs.fields(cls) if item.init}
    for key in own:
        if key not in known:
            raise ValueError(
                f"'--set' must be NAME=VALUE with a field of {cls.__name__}, or 'estimator.' or 'method.' and a field "
                f"of these: {shown(key)}; {suggest(key, known)}"
            )


def make_parts(
    problem: Problem, name: str | None, method: str | None, sigma: float | None, settings: Settings
) -> tuple[Estimator | str | None, Optimizer | str | None]:
    """Make estimator and method with their settings, or pass on their names."""
    given = {part: settings[part] for part in PARTS if part in settings}
    for part, value in given.items():
        require("--set", isinstance(value, dict), f"{part}.FIELD=VALUE; for its name there is --{part}", value)
    if sigma is None and not given:
        return name, method
    chosen, served, _ = choose(problem, name, method)
    estimator: Estimator | str | None = chosen if "estimator" in given else name
    if "estimator" in given:
        estimator = chosen = with_fields(chosen, given["estimator"])
    if sigma is not None:
        estimator = _with_sigma(chosen, sigma, name)
    return estimator, _with_rate(served, given["method"]) if "method" in given else method


def _read(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _with_sigma(chosen: Estimator, sigma: float, name: str | None) -> Estimator:
    require("sigma", 0 < as_real("sigma", sigma) < math.inf, "> 0 and finite", sigma)
    given = getattr(chosen, "sigma", None)
    # A schedule, with its default filled in, of which the start is replaced; a plain number is replaced as a whole.
    schedule: Any = getattr(chosen, "schedule", given)
    if schedule is None:
        raise ValueError(f"'sigma' is no option of the estimator {name or kebab(type(chosen).__name__)!r}: {sigma!r}")
    changes: Any = {"sigma": attrs.evolve(schedule, start=sigma) if hasattr(schedule, "start") else sigma}
    return attrs.evolve(chosen, **changes)


def _with_rate(method: Optimizer, changes: Settings) -> Optimizer:
    """Method with changed fields.

    A number for the rate replaces the start of a schedule; a mapping changes fields of the schedule, or names another,
    as ``{"step-decay": {"every": 300}}``.
    """
    present, changes = getattr(method, "lr", None), dict(changes)
    value = changes.get("lr")
    if isinstance(value, dict):
        names = [key for key in value if key in _SCHEDULES]
        if len(value) == 1 and names:
            fields, schedule = value[names[0]], _SCHEDULES[names[0]]
            require("method.lr", isinstance(fields, dict), "a name of a schedule with a mapping of its fields", value)
            changes["lr"] = with_fields(schedule(start=getattr(present, "start", None)), fields)
        elif isinstance(present, Schedule):
            changes["lr"] = with_fields(present, value)
    elif isinstance(present, Schedule) and isinstance(value, int | float):
        changes["lr"] = attrs.evolve(present, start=value)
    return with_fields(method, changes)
