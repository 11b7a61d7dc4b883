"""Compare estimators on a scene: ``python -m invopt.problems.radiosity.study``."""

from __future__ import annotations

import json
import math
import time
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import attrs
import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console

from .comparison.comparison import PAPER_DECAY_EVERY, PAPER_MAXITER, Comparison
from .fields.field import PLAIN, as_field
from .objective import RadiosityObjective
from .presets import PAPER_LR
from .problem import NeuralRadiosity

__all__ = ["main"]


def main(
    scene: Annotated[str, typer.Option(help="Name or XML file.")] = "gap-room",
    field: Annotated[str, typer.Option(help="small, paper or tiny.")] = "paper",
    output: Annotated[str, typer.Option(help="Output of the field: linear or exp.")] = "linear",
    reflection: Annotated[bool, typer.Option(help="Add the mirrored direction to the field's inputs.")] = False,
    n_points: Annotated[int, typer.Option(help="Points of an iteration.")] = 2**14,
    n_directions: Annotated[int, typer.Option(help="Incident directions at each point.")] = 32,
    sampling: Annotated[str, typer.Option(help="uniform, bsdf, nee or guided.")] = "bsdf",
    loss: Annotated[str, typer.Option(help="How the sides are compared, such as symmetric-l2.")] = "relative-l2",
    sides: Annotated[str, typer.Option(help="What is compared: outgoing or reflected.")] = "outgoing",
    bounces: Annotated[int, typer.Option(help="Reflections before the field is evaluated.")] = 1,
    dark_density: Annotated[float, typer.Option(help="Density of points on faces without light.")] = 1.0,
    precision: Annotated[str | None, typer.Option(help="float32 or mixed.")] = None,
    encoder: Annotated[str, typer.Option(help="drjit or torch.")] = "drjit",
    media: Annotated[str, typer.Option(help="refuse or ignore.")] = "refuse",
    backend: Annotated[str | None, typer.Option(help="cuda or llvm.")] = None,
    estimators: Annotated[
        str, typer.Option(help="Names, separated by commas; a weight as in weighted-dual-buffer:0.25.")
    ] = "full-gradient,semi-gradient",
    blocks: Annotated[int, typer.Option(help="Blocks of the timing; 0: no timing.")] = 5,
    block: Annotated[int, typer.Option(help="Iterations of a block.")] = 20,
    seconds: Annotated[float, typer.Option(help="Training time of each estimator; 0: no training.")] = 60.0,
    maxiter: Annotated[int, typer.Option(help="Largest number of iterations of a training.")] = PAPER_MAXITER,
    decay_every: Annotated[int, typer.Option(help="Iterations until the rate falls to a third.")] = PAPER_DECAY_EVERY,
    lr: Annotated[float, typer.Option(help="Adam's rate at the start.")] = PAPER_LR,
    every: Annotated[int, typer.Option(help="Iterations between two measurements of the errors.")] = 500,
    width: Annotated[int, typer.Option(help="Pixels of the pictures; 0: by the height, or those of the camera.")] = 0,
    height: Annotated[int, typer.Option(help="0: by the camera's aspect ratio.")] = 0,
    spp: Annotated[int, typer.Option(help="Rays through each pixel.")] = 4,
    reference_spp: Annotated[int, typer.Option(help="Paths through each pixel of the reference.")] = 1024,
    seeds: Annotated[int, typer.Option(help="Trainings of each estimator, with seeds from 0.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Folder for the records and the pictures.")] = None,
) -> None:
    """Time and train estimators on a scene, and print each result as a line of JSON."""
    # First of all, so that it holds the options and nothing else.
    options = dict(locals())
    problem = _problem(options)
    comparison = _comparison(problem, options)
    record, names = Record(out), [name.strip() for name in estimators.split(",")]
    with problem.open() as live:
        record(what="setting", problem=repr(problem), n=problem.n, device=str(live.device), torch=torch.__version__)
        for timed in comparison.times(live, names, blocks=blocks, iterations=block) if blocks else ():
            record(what="time", **timed)
        if seconds > 0:
            _train(record, live, comparison, names, seeds)


def _problem(options: dict[str, Any]) -> NeuralRadiosity:
    """Return the problem that these options describe."""
    own = {item.name for item in attrs.fields(NeuralRadiosity)} & options.keys() - {"scene", "field"}
    head = {name: options[name] for name in ("output", "reflection")}
    field = as_field(options["field"], PLAIN | head)
    return NeuralRadiosity(options["scene"], preset="paper", field=field, **{name: options[name] for name in own})


def _comparison(problem: NeuralRadiosity, options: dict[str, Any]) -> Comparison:
    """Return the comparison that these options describe."""
    own = {item.name for item in attrs.fields(Comparison)} & options.keys()
    return Comparison(problem=problem, **{name: options[name] for name in own})


class Record:
    """Prints results as lines of JSON, and appends them to a file.

    Parameters
    ----------
    out : Path, optional
        Folder of the file, ``study.jsonl``.
    """

    def __init__(self, out: Path | None = None) -> None:
        self.out = out
        self._console = Console(soft_wrap=True, highlight=False)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)

    def __call__(self, **result: Any) -> None:
        """Print a result."""
        # JSON has no nan and no infinity.
        line = json.dumps({key: None if _is_not_finite(value) else value for key, value in result.items()})
        self._console.print(line, markup=False)
        if self.out is not None:
            with (self.out / "study.jsonl").open("a") as file:
                file.write(line + "\n")


def _is_not_finite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _train(record: Record, live: RadiosityObjective, comparison: Comparison, names: list[str], seeds: int) -> None:
    """Train each estimator with each seed; the pictures of the first seed are kept."""
    began = time.perf_counter()
    truth = comparison.truth(live)
    size, spp = list(comparison.size(live)), comparison.reference_spp
    record(what="reference", size=size, spp=spp, seconds=time.perf_counter() - began)
    for name, seed in product(names, range(seeds)):
        result, rows = comparison.train(live, name, seed)
        for row in rows:
            record(what="error", estimator=name, seed=seed, **row)
        if record.out is not None and seed == 0 and np.isfinite(result.x).all():
            _save_pictures(record.out / f"{name.replace(':', '-')}.npz", live, comparison, result.x, truth)


def _save_pictures(
    path: Path,
    live: RadiosityObjective,
    comparison: Comparison,
    x: NDArray[np.float64],
    truth: NDArray[np.float32],
) -> None:
    """Save pictures of both sides, and the reference."""
    size = comparison.size(live)
    left = live.render(x, spp=4 * comparison.spp, size=size)
    right = live.render(x, side="rhs", spp=1, n_directions=32, size=size)
    np.savez(path, lhs=left, rhs=right, reference=truth)


if __name__ == "__main__":
    typer.run(main)
