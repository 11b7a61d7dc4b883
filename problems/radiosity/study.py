"""Measure training: seconds per iteration of several estimators, alternately, and errors along the way.

``python -m invopt.problems.radiosity.study --help``
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.console import Console

from invopt._minimize import prepare
from invopt._registry import find, resolve
from invopt._result import OptimizeResult
from invopt._schedules import StepDecay

from .metrics import compare, flip, has_flip
from .objective import RadiosityObjective
from .problem import NeuralRadiosity
from .reference import reference

__all__ = ["Training", "seconds_per_iteration"]


class Training:
    """Errors of a field while it is trained, the evaluations being on no one's clock; FLIP where it is installed.

    Parameters
    ----------
    live : RadiosityObjective
        The open scene.
    truth : ndarray, shape (height, width, 3)
        Reference picture.
    every : int
        Iterations between evaluations.
    spp : int
        Rays through a pixel of the left side.
    seconds : float
        Time after which training ends, evaluations not counted.
    """

    def __init__(
        self,
        live: RadiosityObjective,
        truth: NDArray[np.float32],
        *,
        every: int,
        spp: int = 4,
        seconds: float = math.inf,
    ) -> None:
        self.live, self.truth = live, truth
        self.every, self.spp, self.seconds = every, spp, seconds
        self._size = (truth.shape[1], truth.shape[0])
        self._emitting = live.emitting_pixels(size=self._size)
        self.rows: list[dict[str, float]] = []
        self._away = 0.0

    def run(self, estimator: Any, method: Any, *, x0: Any, rng: int, maxiter: int) -> OptimizeResult:
        """Train with an estimator; `rows` then holds the errors along the way."""
        self.rows, self._away, self._began = [], 0.0, time.perf_counter()
        prepared = prepare(
            self.live.problem, estimator, method, x0=x0, rng=rng, maxiter=maxiter, callback=self, progress=False
        )
        return prepared.loop(self.live)

    def __call__(self, *, intermediate_result: OptimizeResult) -> None:
        """Measure, when it is time."""
        synchronize(self.live)
        spent = time.perf_counter() - self._began - self._away
        nit, over = intermediate_result.nit, spent >= self.seconds
        if nit % self.every and not over:
            return
        stopped = time.perf_counter()
        picture = self.live.render(intermediate_result.x, spp=self.spp, size=self._size)
        errors = compare(picture, self.truth, self._emitting).to_dict()
        if has_flip():
            errors["flip"] = flip(picture, self.truth)
        self.rows.append({"nit": nit, "seconds": spent, "loss": intermediate_result.fun, **errors})
        self._away += time.perf_counter() - stopped
        if over:
            raise StopIteration


def seconds_per_iteration(
    live: RadiosityObjective, estimators: Sequence[Any], *, x0: Any, blocks: int = 5, iterations: int = 20
) -> Iterator[tuple[Any, list[float], float]]:
    """Seconds per iteration of each estimator in each of several blocks, the estimators taking turns.

    Yields
    ------
    estimator, seconds, memory
        Seconds per iteration in each block, and the most memory a GPU held, in bytes; nan on the CPU.
    """
    spent: list[list[float]] = [[] for _ in estimators]
    memory = [math.nan] * len(estimators)
    for block in range(-1, blocks):
        for i, estimator in enumerate(estimators):
            cuda = live.device.type == "cuda"
            if cuda:
                torch.cuda.reset_peak_memory_stats()
            clock = _Clock(live)
            prepared = prepare(
                live.problem,
                estimator,
                None,
                x0=x0,
                rng=block + 1,
                maxiter=iterations if block >= 0 else 3,
                callback=clock,
                progress=False,
            )
            prepared.loop(live)
            # The first block compiles kernels.
            if block >= 0:
                spent[i].append(clock.seconds / iterations)
            if cuda:
                memory[i] = float(torch.cuda.max_memory_allocated())
    yield from zip(estimators, spent, memory, strict=True)


class _Clock:
    """Seconds from the first iteration of a run to its last: without its start, and what its result takes to copy."""

    def __init__(self, live: RadiosityObjective) -> None:
        self.live, self.seconds, self._began = live, 0.0, 0.0

    def __call__(self, *, intermediate_result: OptimizeResult) -> None:
        if intermediate_result.nit == 0:
            synchronize(self.live)
            self._began = time.perf_counter()
        # A GPU is waited for every iteration anyhow, for the loss is read.
        self.seconds = time.perf_counter() - self._began


def synchronize(live: RadiosityObjective) -> None:
    """Wait for what the GPU still does."""
    if live.device.type == "cuda":
        torch.cuda.synchronize()


def main(
    scene: Annotated[str, typer.Option(help="Name or XML file.")] = "gap-room",
    field: Annotated[str, typer.Option(help="small, paper or tiny.")] = "paper",
    n_points: Annotated[int, typer.Option()] = 2**14,
    n_directions: Annotated[int, typer.Option()] = 32,
    sampling: Annotated[str, typer.Option(help="uniform, bsdf, nee or guided.")] = "bsdf",
    loss: Annotated[str, typer.Option()] = "relative-l2",
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
    console = Console(soft_wrap=True, highlight=False)

    def say(**record: Any) -> None:
        console.print(json.dumps(record), markup=False)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            with (out / "study.jsonl").open("a") as file:
                file.write(json.dumps(record) + "\n")

    problem = NeuralRadiosity(
        scene,
        field=field,
        n_points=n_points,
        n_directions=n_directions,
        sampling=sampling,
        loss=loss,
        precision=precision,
        encoder=encoder,
        media=media,
        backend=backend,
    )
    chosen = {name.strip(): _estimator(name.strip()) for name in estimators.split(",")}
    with problem.open() as live:
        say(what="setting", problem=repr(problem), n=problem.n, device=str(live.device), torch=torch.__version__)
        if blocks:
            timed = seconds_per_iteration(live, list(chosen.values()), x0=problem.x0, blocks=blocks, iterations=block)
            for name, (_, spent, memory) in zip(chosen, timed, strict=True):
                say(what="time", estimator=name, median=float(np.median(spent)), blocks=spent, peak_bytes=memory)
        if seconds <= 0:
            return
        size = (width, height) if width and height else live.transport.size(0)
        began = time.perf_counter()
        truth = reference(live, spp=reference_spp, size=size)
        say(what="reference", size=list(size), spp=reference_spp, seconds=time.perf_counter() - began)
        training = Training(live, truth, every=every, spp=spp, seconds=seconds)
        for name, seed in product(chosen, range(seeds)):
            method = find("optimizers", "adam")(lr=StepDecay(lr, every=decay_every))
            x0 = problem.starts(np.random.default_rng(seed), 1)[0]
            result = training.run(chosen[name], method, x0=x0, rng=seed, maxiter=maxiter)
            for row in training.rows:
                say(what="error", estimator=name, seed=seed, **row)
            if out is not None and seed == 0:
                np.savez(
                    out / f"{name.replace(':', '-')}.npz",
                    lhs=live.render(result.x, spp=4 * spp, size=size),
                    rhs=live.render(result.x, side="rhs", spp=1, n_directions=32, size=size),
                    reference=truth,
                )


def _estimator(name: str) -> Any:
    """An estimator by name, with its weight behind a colon where it has one."""
    name, _, weight = name.partition(":")
    return find("estimators", name)(weight=float(weight)) if weight else resolve("estimators", name, "estimators")


if __name__ == "__main__":
    typer.run(main)
