"""The run of a command: from its arguments, a run file or both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from invopt.core.validators import as_integer, require
from invopt.run.arguments.options import Options
from invopt.run.prepare import prepare
from invopt.run.run import Run
from invopt.runfiles.run_file import RunFile, as_run_file, content_of
from invopt.runfiles.settings import as_settings, check_settings, make_parts
from invopt.snapshots import Checkpoint

__all__ = ["launch", "of_command"]


def of_command(name: str, settings: Sequence[str], options: Mapping[str, Any]) -> RunFile:
    """Return the run file of a command.

    Parameters
    ----------
    name : str
        A registered problem, or a run file.
    settings : sequence of str
        Fields of the problem, or of ``estimator.`` and ``method.``, as ``NAME=VALUE``; see `as_settings`.
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
    given = as_settings(settings)
    check_settings(name, given)
    return as_run_file({"problem": name, **({"set": given} if given else {}), **options}, Path(), "the command")


def launch(file: RunFile, *, live: bool = False) -> tuple[Run, NDArray[np.float64]]:
    """Prepare the run of a run file; returns it with its start.

    A scene starts as it is, a registered problem at a random point. `live`: show parameters and pictures.
    """
    problem, options = file.problem, file.options
    seed = options.get("seed", 0)
    require("seed", as_integer("seed", seed) >= 0, ">= 0", seed)
    rng = np.random.default_rng(seed)
    start = problem.x0 if file.has_scene else problem.starts(rng, 1)[0]
    names = (options.get("estimator"), options.get("method"))
    made, served = make_parts(problem, *names, options.get("sigma"), dict(file.content.get("set", {})))
    checkpoint = options.get("checkpoint")
    given = Options(
        estimator=made,
        method=served,
        x0=start,
        rng=rng,
        maxfev=options.get("maxfev", None if "maxtime" in options else problem.default_maxfev),
        maxtime=options.get("maxtime"),
        workers=options.get("workers", 1),
        progress="live" if live else None,
        journal=options.get("journal"),
        checkpoint=None if checkpoint is None else Checkpoint(checkpoint, every=options.get("every")),
    )
    return prepare(problem, given), start
