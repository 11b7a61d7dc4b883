"""Command `invopt bbob`."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from attrs import asdict
from rich.console import Console
from rich.status import Status

if TYPE_CHECKING:
    from .runs import Row

__all__ = ["bbob"]

_METHODS = "auto,cobyqa,l-bfgs-b,nelder-mead,powell,cma"


def bbob(
    functions: Annotated[str, typer.Argument(help="Functions, such as 1-24 or 7,8.")] = "1-24",
    methods: Annotated[str, typer.Option(help="Presets or estimator+method, separated by commas.")] = _METHODS,
    dimensions: Annotated[str, typer.Option(help="Numbers of parameters, of 2, 3, 5, 10, 20, 40.")] = "2,3,5,10",
    instances: Annotated[str, typer.Option(help="Instances; 1-3 are for tuning.")] = "4-6",
    evaluations: Annotated[int, typer.Option(help="Budget, in multiples of the number of parameters.")] = 100,
    maxtime: Annotated[float, typer.Option(help="Seconds after which a run ends.")] = 120.0,
    out: Annotated[Path | None, typer.Option(help="JSON file for the runs.")] = None,
) -> None:
    """Print the share of the targets 1e2 to 1e-8 of BBOB that methods reach."""
    from invopt.bench.plan import as_method
    from invopt.core.validators import require

    from .problem import Bbob
    from .runs import run_all, table

    require("evaluations", evaluations >= 1, ">= 1", evaluations)
    problems = [
        Bbob(function=function, dimension=dimension, instance=instance)
        for dimension in _numbers("dimensions", dimensions)
        for function in _numbers("functions", functions)
        for instance in _numbers("instances", instances)
    ]
    chosen = [as_method(name) for name in methods.split(",") if name]
    console = Console(soft_wrap=True, highlight=False, markup=False)
    # Shown on a terminal only.
    with Console(stderr=True).status("") as status:
        rows = run_all(chosen, problems, evaluations, maxtime, partial(_show, status))
    console.print(f"BBOB functions {functions}, instances {instances}, {evaluations} evaluations a parameter\n")
    console.print(table(rows))
    for row in rows:
        if row.failure is not None:
            console.print(f"failed: {row.method} on f{row.function}, instance {row.instance}: {row.failure}")
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps([{name: str(value) for name, value in asdict(row).items()} for row in rows]) + "\n")
        console.print(f"wrote {out}")


def _show(status: Status, row: Row) -> None:
    status.update(f"{row.method}: f{row.function}, {row.dimension} parameters")


def _numbers(name: str, text: str) -> list[int]:
    """Numbers of a list such as 1-3,7."""
    from invopt.core.validators import require

    found: list[int] = []
    for part in text.split(","):
        low, _, high = part.partition("-")
        require(name, low.isdigit() and (high or low).isdigit(), "numbers such as 1-3,7", text)
        found += range(int(low), int(high or low) + 1)
    return found
