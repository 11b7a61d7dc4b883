"""Command `invopt more-wild`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from attrs import asdict
from rich.console import Console
from rich.status import Status

if TYPE_CHECKING:
    from .runs import Row

__all__ = ["RESIDUAL_METHODS", "VALUE_METHODS", "more_wild"]

# Methods compared by default: the default of `minimize`, and others' methods.
RESIDUAL_METHODS = ("auto", "least-squares", "dfo-ls")
VALUE_METHODS = ("auto", "cobyqa", "l-bfgs-b", "nelder-mead", "powell", "py-bobyqa", "cma")
# Failures that are listed.
_MOST_LISTED = 6


def more_wild(
    problems: Annotated[list[str] | None, typer.Argument(help="Problems of the set; by default all 53.")] = None,
    methods: Annotated[
        str, typer.Option(help="Presets or estimator+method, separated by commas; by default ours and the peers.")
    ] = "",
    form: Annotated[str, typer.Option(help="What problems offer: residuals, values or both, one after the other.")] = (
        "both"
    ),
    noise: Annotated[float, typer.Option(help="Standard deviation of normal noise.")] = 0.0,
    noise_kind: Annotated[
        str,
        typer.Option(help="residuals: added to each; of values, additive or multiplicative: to the sum of squares."),
    ] = "residuals",
    single: Annotated[bool, typer.Option(help="Round values to single precision; of values only.")] = False,
    seeds: Annotated[int, typer.Option(help="Number of runs from the start of each problem.")] = 1,
    first_seed: Annotated[int, typer.Option(help="Number of the first seed; seeds from 1000 on are for tuning.")] = 0,
    evaluations: Annotated[str, typer.Option(help="Budgets, in multiples of n + 1 evaluations.")] = "25,100",
    maxtime: Annotated[float, typer.Option(help="Seconds after which a run ends.")] = 120.0,
    out: Annotated[Path | None, typer.Option(help="JSON file for the runs.")] = None,
) -> None:
    """Print the shares of Moré and Wild's 53 problems that methods solve.

    The problems are nonlinear least squares. Methods see the residuals, or values only.
    """
    from invopt.bench.plan import as_method
    from invopt.core.validators import as_real, require

    from .problem import NOISE_KINDS, MoreWild, problem_names
    from .runs import run_all
    from .shares import table

    require("form", form in ("residuals", "values", "both"), "residuals, values or both", form)
    require("noise_kind", noise_kind in NOISE_KINDS, ", ".join(NOISE_KINDS), noise_kind)
    require("form", form == "values" or not (single or noise_kind != "residuals"), "values for this noise", form)
    require("seeds", seeds >= 1, ">= 1", seeds)
    require("first_seed", first_seed >= 0, ">= 0", first_seed)
    budgets = [as_real("evaluations", _number(text)) for text in evaluations.split(",")]
    require("evaluations", min(budgets) > 0, "> 0", evaluations)
    chosen = [as_method(name) for name in methods.split(",") if name]
    console, kept = Console(soft_wrap=True, highlight=False, markup=False), []
    for residuals in (True, False):
        if form == ("values" if residuals else "residuals"):
            continue
        names = problems or problem_names()
        # Shown on a terminal only.
        with Console(stderr=True).status("") as status:
            rows, refused = run_all(
                chosen or (RESIDUAL_METHODS if residuals else VALUE_METHODS),
                [
                    MoreWild(name=name, residuals=residuals, noise=noise, noise_kind=noise_kind, single=single)
                    for name in names
                ],
                seeds=range(first_seed, first_seed + seeds),
                simplex_gradients=max(budgets),
                maxtime=maxtime,
                report=partial(_show, status),
            )
        kept += rows
        offered = "residuals" if residuals else "values"
        kind = ("" if noise_kind == "residuals" else f" {noise_kind}") + (", single precision" if single else "")
        console.print(f"\n{len(names)} problems, {offered}, noise {noise:g}{kind}, {seeds} seeds from {first_seed}\n")
        if rows:
            console.print(table(rows, budgets))
        for method, reason in refused.items():
            console.print(f"cannot work: {method}: {reason}")
        _list_failures(console, rows)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        # JSON has no infinity.
        out.write_text(json.dumps([_finite(row) for row in kept], indent=1) + "\n")
        console.print(f"wrote {out}")


def _show(status: Status, row: Row) -> None:
    status.update(f"{row.method}: {row.problem}, seed {row.seed}")


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _finite(row: Row) -> dict[str, object]:
    left = None if row.left == float("inf") else row.left
    return asdict(row) | {"costs": [None if cost == float("inf") else cost for cost in row.costs], "left": left}


def _list_failures(console: Console, rows: Sequence[Row]) -> None:
    failed = [row for row in rows if row.failure is not None]
    for row in failed[:_MOST_LISTED]:
        console.print(f"failed: {row.method} on {row.problem}, seed {row.seed}: {row.failure}")
    if len(failed) > _MOST_LISTED:
        console.print(f"failed: {len(failed) - _MOST_LISTED} more; --out keeps all")
