"""Time and train estimators on one scene: ``python -m invopt.problems.radiosity.study --help``."""

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

from invopt.plugin import StepDecay, find, resolve

from .fields.field import as_field
from .objective import RadiosityObjective
from .pictures.reference import reference
from .problem import NeuralRadiosity
from .training import Training, seconds_per_iteration

__all__ = ["main"]


def main(
    scene: Annotated[str, typer.Option(help="Name or XML file.")] = "gap-room",
    field: Annotated[str, typer.Option(help="small, paper or tiny.")] = "paper",
    output: Annotated[str, typer.Option(help="Of the field: linear or exp.")] = "linear",
    reflection: Annotated[bool, typer.Option(help="Tell the field the mirrored direction too.")] = False,
    n_points: Annotated[int, typer.Option()] = 2**14,
    n_directions: Annotated[int, typer.Option()] = 32,
    sampling: Annotated[str, typer.Option(help="uniform, bsdf, nee or guided.")] = "bsdf",
    loss: Annotated[str, typer.Option()] = "relative-l2",
    sides: Annotated[str, typer.Option(help="What is compared: outgoing or reflected.")] = "outgoing",
    bounces: Annotated[int, typer.Option(help="Reflections before the field is asked.")] = 1,
    dark_density: Annotated[float, typer.Option(help="Points on faces without light.")] = 1.0,
    precision: Annotated[str | None, typer.Option(help="float32 or mixed.")] = None,
    encoder: Annotated[str, typer.Option(help="drjit or torch.")] = "drjit",
    media: Annotated[str, typer.Option(help="refuse or ignore.")] = "refuse",
    backend: Annotated[str | None, typer.Option(help="cuda or llvm.")] = None,
    estimators: Annotated[
        str, typer.Option(help="Names, comma-separated; weighted-dual-buffer:0.25.")
    ] = "full-gradient,semi-gradient",
    blocks: Annotated[int, typer.Option(help="Blocks of the timing; 0: none.")] = 5,
    block: Annotated[int, typer.Option(help="Iterations of a block.")] = 20,
    seconds: Annotated[float, typer.Option(help="Training time of each estimator; 0: none.")] = 60.0,
    maxiter: Annotated[int, typer.Option(help="Iterations of each at most.")] = 36_000,
    decay_every: Annotated[int, typer.Option(help="Iterations after which the rate falls to a third.")] = 12_000,
    lr: Annotated[float, typer.Option()] = 5e-4,
    every: Annotated[int, typer.Option(help="Iterations between evaluations.")] = 500,
    width: Annotated[int, typer.Option(help="Pixels of the pictures; 0: the camera's.")] = 0,
    height: Annotated[int, typer.Option()] = 0,
    spp: Annotated[int, typer.Option(help="Rays through a pixel.")] = 4,
    reference_spp: Annotated[int, typer.Option(help="Paths through a pixel of the reference.")] = 1024,
    seeds: Annotated[int, typer.Option(help="Trainings of each estimator, with seeds from 0 on.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Folder for the record and the pictures.")] = None,
) -> None:
    """Time and train estimators of neural radiosity on one scene; prints one JSON line a result."""
    problem = NeuralRadiosity(
        scene,
        field=attrs.evolve(as_field(field), output=output, reflection=reflection),
        n_points=n_points,
        n_directions=n_directions,
        sampling=sampling,
        loss=loss,
        sides=sides,
        bounces=bounces,
        dark_density=dark_density,
        precision=precision,
        encoder=encoder,
        media=media,
        backend=backend,
    )
    log = Log(out)
    chosen = {name.strip(): _estimator(name.strip()) for name in estimators.split(",")}
    with problem.open() as live:
        log(what="setting", problem=repr(problem), n=problem.n, device=str(live.device), torch=torch.__version__)
        if blocks:
            _time(log, live, chosen, blocks, block)
        if seconds > 0:
            size = (width, height) if width and height else live.transport.size(0)
            training = Training(live, _truth(log, live, size, reference_spp), every=every, spp=spp, seconds=seconds)
            method = find("optimizers", "adam")(lr=StepDecay(lr, every=decay_every))
            _train(log, training, chosen, method, maxiter, seeds)


class Log:
    """One JSON line a result, printed and, with a folder, kept there.

    Parameters
    ----------
    out : Path, optional
        The folder.
    """

    def __init__(self, out: Path | None = None) -> None:
        self.out = out
        self._console = Console(soft_wrap=True, highlight=False)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)

    def __call__(self, **record: Any) -> None:
        """Write one."""
        line = json.dumps(record)
        self._console.print(line, markup=False)
        if self.out is not None:
            with (self.out / "study.jsonl").open("a") as file:
                file.write(line + "\n")


def _time(log: Log, live: RadiosityObjective, chosen: dict[str, Any], blocks: int, block: int) -> None:
    timed = seconds_per_iteration(live, list(chosen.values()), x0=live.problem.x0, blocks=blocks, iterations=block)
    for name, (_, spent, memory) in zip(chosen, timed, strict=True):
        log(what="time", estimator=name, median=float(np.median(spent)), blocks=spent, peak_bytes=_number(memory))


def _number(value: float) -> float | None:
    """JSON knows no nan."""
    return None if math.isnan(value) else value


def _truth(log: Log, live: RadiosityObjective, size: tuple[int, int], spp: int) -> NDArray[np.float32]:
    began = time.perf_counter()
    truth = reference(live, spp=spp, size=size)
    log(what="reference", size=list(size), spp=spp, seconds=time.perf_counter() - began)
    return truth


def _train(log: Log, training: Training, chosen: dict[str, Any], method: Any, maxiter: int, seeds: int) -> None:
    for name, seed in product(chosen, range(seeds)):
        x0 = training.live.problem.starts(np.random.default_rng(seed), 1)[0]
        result = training.run(chosen[name], method, x0=x0, rng=seed, maxiter=maxiter)
        for row in training.rows:
            log(what="error", estimator=name, seed=seed, **row)
        if log.out is not None and seed == 0:
            _keep(log.out / f"{name.replace(':', '-')}.npz", training, result.x)


def _keep(path: Path, training: Training, x: NDArray[np.float64]) -> None:
    """Save pictures of both sides, and the reference."""
    live, size = training.live, training.size
    left = live.render(x, spp=4 * training.spp, size=size)
    right = live.render(x, side="rhs", spp=1, n_directions=32, size=size)
    np.savez(path, lhs=left, rhs=right, reference=training.truth)


def _estimator(name: str) -> Any:
    """An estimator by name, with its weight behind a colon where it has one."""
    name, _, weight = name.partition(":")
    return find("estimators", name)(weight=float(weight)) if weight else resolve("estimators", name, "estimators")


if __name__ == "__main__":
    typer.run(main)
