"""The command `invopt`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import attrs
import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console

from invopt._choice import choose
from invopt._estimator import Estimator
from invopt._minimize import prepare
from invopt._problem import Objective, Problem
from invopt._registry import kebab, resolve
from invopt._result import OptimizeResult
from invopt._validators import as_real, require
from invopt.exceptions import InvoptError
from invopt.report.tables import doctor_table, outcome_table, registry_table

__all__ = ["main"]

app = typer.Typer(
    help="Optimization through renderers and other black boxes.", no_args_is_help=True, add_completion=False
)


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="Problem; see `invopt list`.")],
    estimator: Annotated[str | None, typer.Option(help="How derivatives are got; by default what suits it.")] = None,
    method: Annotated[str | None, typer.Option(help="How they become steps; by default what fits.")] = None,
    sigma: Annotated[float | None, typer.Option(help="First smoothing width, in units of x_scale.")] = None,
    maxfev: Annotated[int, typer.Option(help="Evaluation budget.")] = 400,
    seed: Annotated[int, typer.Option(help="Seed of the start and of the run.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes that evaluate; 1 for this one alone.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Folder for pictures and the record.")] = None,
) -> None:
    """Solve a task from a random start, and show how well."""
    with _as_usage_errors():
        problem = resolve("problems", name, "name")
        require("seed", seed >= 0, ">= 0", seed)
        rng = np.random.default_rng(seed)
        start = problem.starts(rng, 1)[0]
        made = _make_estimator(problem, estimator, sigma)
        prepared = prepare(problem, made, method, x0=start, rng=rng, maxfev=maxfev, workers=workers)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
    console = Console()
    with prepared.open() as objective:
        try:
            result = prepared.loop(objective)
        except InvoptError as error:
            if out is not None and error.result is not None:
                console.print(f"wrote {_write_record(error.result, out)}, what was found so far", soft_wrap=True)
            raise
        console.print(outcome_table(result, start))
        if out is not None:
            for path in _write(objective, result, start, out):
                console.print(f"wrote {path}", soft_wrap=True)


@contextmanager
def _as_usage_errors() -> Iterator[None]:
    """Errors in what was asked for; one raised later, in a run, would be ours and keeps its traceback."""
    try:
        yield
    except (TypeError, ValueError, OSError) as error:
        raise error if isinstance(error, InvoptError) else InvoptError(str(error)) from None


def _make_estimator(problem: Problem, name: str | None, sigma: float | None) -> Estimator | str | None:
    if sigma is None:
        return name
    require("sigma", 0 < as_real("sigma", sigma) < math.inf, "> 0 and finite", sigma)
    chosen = choose(problem, name, None).estimator
    width = getattr(chosen, "width", None)
    if width is None:
        raise ValueError(f"'sigma' means nothing to the estimator {name or kebab(type(chosen).__name__)!r}: {sigma!r}")
    return attrs.evolve(chosen, sigma=attrs.evolve(width, start=sigma))


def _write(objective: Objective, result: OptimizeResult, start: NDArray[np.float64], out: Path) -> list[Path]:
    # Matplotlib takes a second to import; only those who want pictures pay for it.
    from invopt.report.pictures import write_convergence, write_pictures

    # The record first: it is what a failing plot must not cost.
    return [
        _write_record(result, out),
        *write_pictures(objective, result, start, out),
        write_convergence(result, out),
    ]


def _write_record(result: OptimizeResult, out: Path) -> Path:
    summary = {
        "problem": repr(result.problem),
        "estimator": repr(result.estimator),
        "method": repr(result.method),
        "status": result.status.name,
        "x": result.x.tolist(),
        "fun": result.fun,
        "nfev": result.nfev,
        "seconds": result.seconds,
        "history": result.history.to_dict(),
    }
    record = out / "result.json"
    record.write_text(json.dumps(summary, indent=1) + "\n")
    return record


@app.command("list")
def list_() -> None:
    """List problems, estimators and optimizers."""
    Console().print(registry_table())


@app.command()
def doctor(
    install: Annotated[bool, typer.Option("--install", help="Install what is missing, if that is allowed.")] = False,
) -> None:
    """Say what this machine can render with, and the one command that would improve it."""
    from invopt.rendering import doctor as examination
    from invopt.rendering import install as install_llvm

    console = Console(soft_wrap=True)
    if install:
        console.print(install_llvm().message, highlight=False)
    console.print(doctor_table(examination.report()))


def main() -> None:
    """Run the command; an error in what was asked for is one line, not a traceback."""
    try:
        app()
    except InvoptError as error:
        Console(stderr=True).print(f"[bold red]error:[/] {error}", soft_wrap=True, highlight=False)
        raise SystemExit(2) from None
