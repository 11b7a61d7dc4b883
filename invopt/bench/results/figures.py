"""Plots of a matrix: convergence, data profiles, variance of the estimators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from invopt.bench.cell import Outcome
from invopt.bench.results.measures import FRACTIONS, data_profile, quantile
from invopt.bench.results.table import KINDS, Results, column
from invopt.bench.variance import PROPOSALS, QUANTITIES, SAMPLES, variances

__all__ = ["relative_error", "write_convergence", "write_profiles", "write_variance"]

Array = NDArray[np.float64]

# Smaller relative errors are drawn as this one, and failures as that: a logarithm has no zero and no infinity. Both are
# outside of the fractions that count, 0.001 to 1.
_SMALLEST_DRAWN, _FAILED_DRAWN = 1e-6, 10.0
# Points of a curve: more than the pixels of a plot can show apart.
_CONVERGENCE_POINTS, _PROFILE_POINTS = 120, 200


def relative_error(outcome: Outcome, kind: str, counts: Array) -> Array:
    """Error of the answer after `counts` evaluations, relative to the start.

    Inf if the run failed.
    """
    errors = outcome.arrays.get(f"{kind}_error")
    if errors is None or not errors[0] > 0:
        return np.full(len(counts), np.inf)
    nfev = outcome.arrays["nfev"]
    if kind == "image":
        nfev = nfev[outcome.arrays["image_row"]]
    held = np.searchsorted(nfev, counts, side="right") - 1
    values: Array = np.where(held < 0, 1.0, errors[held.clip(0)] / errors[0])
    return np.where(np.isnan(values), np.inf, values)


def write_convergence(results: Results, task: str, path: Path) -> None:
    """Medians and quartiles of the relative errors against evaluations, log-log."""
    outcomes = [o for o in results.outcomes if o.record["task"] == task]
    counts = np.unique(np.geomspace(2, outcomes[0].record["maxfev"], _CONVERGENCE_POINTS).round())
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    for ax, kind in zip(axes, KINDS, strict=True):
        for i, method in enumerate(results.methods(task)):
            runs = np.array([relative_error(o, kind, counts) for o in outcomes if o.record["method"] == method])
            low, middle, high = (_quantiles(runs, q) for q in (0.25, 0.5, 0.75))
            (line,) = ax.plot(counts, middle, label=method, **_style(i))
            ax.fill_between(counts, low, high, alpha=0.12, color=line.get_color(), linewidth=0)
        ax.set(
            xscale="log",
            yscale="log",
            xlabel=results.cost(task),
            ylabel=f"{kind} error / at the start",
            ylim=(_SMALLEST_DRAWN, 3),
        )
        for fraction in FRACTIONS:
            ax.axhline(fraction, color="0.8", linewidth=0.6, zorder=0)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper", fontsize="small")
    figure.suptitle(f"{task.upper()}: median and quartiles of {_seeds(outcomes)} starts")
    figure.savefig(path, dpi=110)


def _quantiles(runs: Array, q: float) -> Array:
    """Quantile over the runs at each count, within the limits of the plot."""
    values = np.array([quantile(column, q) for column in runs.T])
    return np.clip(np.where(np.isinf(values), _FAILED_DRAWN, values), _SMALLEST_DRAWN, None)


def _seeds(outcomes: list[Outcome]) -> int:
    return len({o.record["seed"] for o in outcomes})


def _style(i: int) -> dict[str, Any]:
    return {
        "color": matplotlib.colormaps["tab10"](i % 10),
        "linestyle": ("-", "--", ":")[i // 10 % 3],
        "linewidth": 1.2,
    }


def write_profiles(results: Results, path: Path) -> None:
    """Share of all starts of the tasks with a known answer solved.

    It is drawn against evaluations / (n + 1). A refused pairing solves none.
    """
    known = {task for task in results.tasks if results.is_known(task)}
    rows = [row for row in results.rows if row["task"] in known]
    starts = {(row["task"], row["seed"]): row["n"] for row in rows}
    found = {(row["task"], row["seed"], row["method"]): row for row in rows}
    budgets = np.geomspace(0.1, max(row["maxfev"] / (row["n"] + 1) for row in rows), _PROFILE_POINTS)
    figure = Figure(figsize=(12, 4), layout="constrained")
    axes = figure.subplots(1, len(FRACTIONS), sharey=True)
    for ax, fraction in zip(axes, FRACTIONS, strict=True):
        name = column("renders", "parameter", fraction)
        for i, method in enumerate(results.methods()):
            costs = [found.get((*key, method), {}).get(name, np.inf) for key in starts]
            ax.step(
                budgets, data_profile(costs, list(starts.values()), budgets), where="post", label=method, **_style(i)
            )
        ax.set(
            xscale="log",
            xlabel="evaluations / (n + 1)",
            title=f"parameter error to {100 * fraction:g} %",
            ylim=(0, 1.02),
        )
    axes[0].set_ylabel(f"share of {len(starts)} starts solved")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper", fontsize="small")
    figure.savefig(path, dpi=110)


def write_variance(path: Path) -> None:
    """Variance against the number of samples, log-log: Fig. 5 of the paper."""
    figure = Figure(figsize=(10, 3.5), layout="constrained")
    for ax, quantity in zip(figure.subplots(1, len(QUANTITIES)), QUANTITIES, strict=True):
        for proposal, style in zip(PROPOSALS, (":", "-", "--"), strict=True):
            ax.loglog(SAMPLES, variances(quantity, proposal), style, marker=".", label=proposal)
        ax.set(xlabel="samples", ylabel="variance", title=quantity)
        ax.legend(fontsize="small")
    figure.savefig(path, dpi=110)
