"""The run of a command: from its arguments, a run file or both."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from invopt.core.estimator import Estimator
from invopt.core.formatting import shown
from invopt.core.optimizer import Optimizer
from invopt.core.problem import Problem
from invopt.core.registry import find, kebab
from invopt.core.validators import as_integer, as_real, require
from invopt.exceptions import suggest
from invopt.run.arguments.options import Options
from invopt.run.default_parts import choose
from invopt.run.prepare import prepare
from invopt.run.run import Run
from invopt.runfiles.run_file import RunFile, as_run_file, content_of
from invopt.snapshots import Checkpoint

__all__ = ["launch", "of_command"]


def of_command(name: str, settings: Sequence[str], options: Mapping[str, Any]) -> RunFile:
    """Return the run file of a command.

    Parameters
    ----------
    name : str
        A registered problem, or a run file.
    settings : sequence of str
        Fields of the problem, as ``NAME=VALUE``. Values are read as JSON if possible, else taken as text.
    options : mapping of str
        Options of the command; they replace those of the file.
    """
    if name.lower().endswith(".toml"):
        require("--set", not settings, "left out with a run file, which has the settings", list(settings))
        path, content = Path(name), content_of(Path(name))
        # The sigma of a scene is its own, and that of the command the estimator's.
        kept = {key: value for key, value in options.items() if key != "sigma" or "scene" not in content}
        found = as_run_file(content | kept, path.parent, repr(name))
        return attrs.evolve(found, options={**found.options, **options})
    return as_run_file({"problem": name, **_settings(name, settings), **options}, Path(), "the command")


def launch(file: RunFile, *, live: bool = False) -> tuple[Run, NDArray[np.float64]]:
    """Prepare the run of a run file; returns it with its start.

    A scene starts as it is, a registered problem at a random point. `live`: show parameters and pictures.
    """
    problem, options = file.problem, file.options
    seed = options.get("seed", 0)
    require("seed", as_integer("seed", seed) >= 0, ">= 0", seed)
    rng = np.random.default_rng(seed)
    start = problem.x0 if file.has_scene else problem.starts(rng, 1)[0]
    made, served = _make_parts(problem, options.get("estimator"), options.get("method"), options.get("sigma"))
    checkpoint = options.get("checkpoint")
    given = Options(
        estimator=made,
        method=served,
        x0=start,
        rng=rng,
        maxfev=options.get("maxfev", problem.default_maxfev),
        workers=options.get("workers", 1),
        progress="live" if live else None,
        journal=options.get("journal"),
        checkpoint=None if checkpoint is None else Checkpoint(checkpoint, every=options.get("every")),
    )
    return prepare(problem, given), start


def _settings(name: str, settings: Sequence[str]) -> dict[str, Any]:
    """Table of settings; empty if there are none."""
    if not settings:
        return {}
    cls = find("problems", name)
    known = {item.alias for item in attrs.fields(cls) if item.init}
    fields: dict[str, object] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or key not in known:
            raise ValueError(
                f"'--set' must be NAME=VALUE with a field of {cls.__name__}: {shown(setting)}; {suggest(key, known)}"
            )
        fields[key] = _read(text)
    return {"set": fields}


def _read(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _make_parts(
    problem: Problem, name: str | None, method: str | None, sigma: float | None
) -> tuple[Estimator | str | None, Optimizer | str | None]:
    if sigma is None:
        return name, method
    require("sigma", 0 < as_real("sigma", sigma) < math.inf, "> 0 and finite", sigma)
    chosen, served, _ = choose(problem, name, method)
    given = getattr(chosen, "sigma", None)
    # A schedule, with its default filled in, of which the start is replaced; a plain number is replaced as a whole.
    schedule: Any = getattr(chosen, "schedule", given)
    if schedule is None:
        raise ValueError(f"'sigma' is no option of the estimator {name or kebab(type(chosen).__name__)!r}: {sigma!r}")
    changes: Any = {"sigma": attrs.evolve(schedule, start=sigma) if hasattr(schedule, "start") else sigma}
    return attrs.evolve(chosen, **changes), served
