"""RESULTS.md: tables and plots of a matrix, in Markdown."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from invopt.bench.results.figures import write_convergence, write_profiles, write_variance
from invopt.bench.results.measures import FRACTIONS, median, quantile, ratio
from invopt.bench.results.paper import COLUMNS, EVALUATIONS, REFERENCE, RIVALS, TABLE_2
from invopt.bench.results.table import Results, column
from invopt.core.registry import find

__all__ = ["UNKNOWN", "number", "rows_of_table_2", "unknown_rows", "verdicts", "write_results"]

# Factor within which a ratio of ours counts as the paper's: theirs are of wall-clock time on another machine.
_SAME_SIZE = 2.0
# Numbers of parameters for which evaluations are listed: from one parameter to a texture of 32x32 texels.
_DIMENSIONS = (1, 2, 10, 1024)


def number(value: float, digits: int = 3) -> str:
    """A number as text for a table: "-" for nan, "∞" for a failure."""
    if math.isnan(value):
        return "-"
    if math.isinf(value):
        return "∞"
    return f"{value:.0f}" if value >= 1000 else f"{value:.{digits}g}"


def write_results(results: Results, path: Path, plots: Path, remarks: Path | None = None) -> list[Path]:
    """Write the report and its plots; returns the files.

    Parameters
    ----------
    results : Results
        The matrix.
    path : Path
        Markdown file.
    plots : Path
        Folder for the plots.
    remarks : Path, optional
        Markdown file whose text follows the comparison with the paper.
    """
    plots.mkdir(parents=True, exist_ok=True)
    drawn = {task: plots / f"{task}.png" for task in results.tasks if results.is_known(task)}
    for task, picture in drawn.items():
        write_convergence(results, task, picture)
    if drawn:
        drawn["profiles"] = plots / "profiles.png"
        write_profiles(results, drawn["profiles"])
    drawn["variance"] = plots / "variance.png"
    write_variance(drawn["variance"])
    parts = _parts(results, {name: _link(picture, path) for name, picture in drawn.items()}, remarks)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return [path, *drawn.values()]


def _parts(results: Results, links: dict[str, str], remarks: Path | None) -> list[str]:
    """Sections of the report, with links to the plots."""
    return [
        *_head(results),
        *_paper(results),
        *([] if remarks is None else [remarks.read_text(encoding="utf-8").strip()]),
        "## Every method on every task",
        _EVERY,
        *(part for task in results.tasks for part in _task(results, task, links)),
        *(["## Shares solved", f"![data profiles]({links['profiles']})"] if "profiles" in links else []),
        "## Evaluations of one estimate: the paper's Table 1",
        _table_1(),
        "## Variance: the paper's Fig. 5",
        f"![variance]({links['variance']})",
        _VARIANCE,
        "## Failed runs, and pairings that cannot work",
        *_failures(results),
    ]


def _paper(results: Results) -> list[str]:
    """Comparison with the paper; empty if none of its tasks was run."""
    tasks = [task for task in results.tasks if task in TABLE_2]
    if not tasks:
        return []
    return [
        "## The paper's Table 2",
        _TABLE_2,
        *(part for task in tasks for part in _table_2(results, task)),
        "## Which of the paper's claims reproduce",
        *_claims(results),
    ]


UNKNOWN = "the answer is unknown, so that there is no parameter error"
_TABLE_2 = """Ratios to AggregateHVP + CG (`paper-hvpa`) of the median evaluations, over all starts, until image error
and parameter error stay below 10, 1 and 0.1 % of their start. A ratio below 1 is better than `paper-hvpa`. "∞": half of
the runs or more did not reach the error, but those of `paper-hvpa` did; "-": those of `paper-hvpa` did not, or there is
no number. The paper's ratios are of wall-clock time."""
_EVERY = """Evaluations (renders, if the task renders) until the parameter error stays below 10, 1 and 0.1 % of its
start, and the image error below 1 %: median [quartiles], and how many runs reached it. A failed run counts as infinite.
"s": seconds to 1 % of the parameter error."""
_VARIANCE = """A model of an image loss in two dimensions: a ball with a sharp edge, and a smooth term. Importance
sampling, 200 repetitions (seeds 0 to 199). "Optimal" needs n times the evaluations, n(n+1)/2 times for Hessians."""


def _head(results: Results) -> list[str]:
    run = results.run
    fixed, machine = run["fixed"], run["machine"]
    starts = {task: len({r["seed"] for r in results.rows if r["task"] == task}) for task in results.tasks}
    budgets = {task: next(r["maxfev"] for r in results.rows if r["task"] == task) for task in results.tasks}
    versions = ", ".join(
        f"{name} {fixed[name]}" for name in ("python", "numpy", "scipy", "torch", "mitsuba", "drjit", "cma")
    )
    return [
        "# Results",
        "Generated by `invopt table`, except the remarks. What is measured, and how:"
        " [docs/benchmark.rst](docs/benchmark.rst).",
        "```sh\n" + "\n".join(run["commands"]) + "\n```",
        f"- machine: {machine['processor']}, {machine['cores']} cores, {machine['system']}; {fixed['backend']}\n"
        f"- versions: invopt {fixed['invopt']} at {fixed['commit']}, {versions}\n"
        f"- size: {fixed['size']}; reference images with "
        + ("the seed of the renders, as in the paper's code" if fixed["shared_reference"] else "a seed of their own")
        + "\n- starts and budget in evaluations: "
        + ", ".join(f"{task.upper()} {starts[task]} starts of {budgets[task]}" for task in results.tasks),
    ]


def _markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def rows_of_table_2(results: Results, task: str) -> list[list[str]]:
    """Rows of the paper's Table 2: our ratios and the paper's.

    Empty if the method that they are ratios to was not run.
    """
    rows: list[list[str]] = []
    run = results.methods(task)
    if REFERENCE not in run:
        return rows
    for name, method in RIVALS.items():
        given = TABLE_2.get(task, {}).get(name)
        if method in run:
            for cost in ("renders", "seconds"):
                rows.append(
                    [
                        name,
                        f"ours, {results.cost(task) if cost == 'renders' else cost}",
                        *(number(_ratio(results, task, method, cost, *c)) for c in COLUMNS),
                    ]
                )
        if given is not None:
            rows.append([name, "paper", *map(number, given)])
    return rows


def _ratio(results: Results, task: str, method: str, cost: str, kind: str, fraction: float) -> float:
    name = column(cost, kind, fraction)
    return ratio(results.values(task, method, name), results.values(task, REFERENCE, name))


def _table_2(results: Results, task: str) -> list[str]:
    if REFERENCE not in results.methods(task):
        return [f"### {task.upper()}", f"`{REFERENCE}` was not run: no ratios."]
    header = ["method", "", *(f"{kind} {100 * fraction:g} %" for kind, fraction in COLUMNS)]
    rows = rows_of_table_2(results, task)
    base = [number(results.spread(task, REFERENCE, column("renders", *c))[0]) for c in COLUMNS]
    return [
        f"### {task.upper()}",
        _markdown(header, [*rows, ["OurHVPA", f"ours, {results.cost(task)} (not a ratio)", *base]]),
    ]


def verdicts(results: Results, fraction: float = 0.01) -> list[tuple[str, str, float, float, str]]:
    """Task, method, the paper's ratio, ours in evaluations, verdict.

    At a fraction of the parameter error.
    """
    found = []
    index = COLUMNS.index(("parameter", fraction))
    for task in results.tasks:
        for name, given in TABLE_2.get(task, {}).items():
            if RIVALS[name] in results.methods(task) and REFERENCE in results.methods(task):
                ours = _ratio(results, task, RIVALS[name], "renders", "parameter", fraction)
                found.append((task, name, given[index], ours, _verdict(given[index], ours)))
    return found


def _verdict(paper: float, ours: float) -> str:
    if math.isnan(paper) or math.isnan(ours):
        return "unknown"
    if (paper > 1) != (ours > 1):
        return "no: the order is reversed"
    return "yes" if 1 / _SAME_SIZE <= ours / paper <= _SAME_SIZE else "the order, not the size"


def _claims(results: Results) -> list[str]:
    rows = [
        [task.upper(), f"{name} against OurHVPA", number(paper), number(ours), verdict]
        for task, name, paper, ours, verdict in verdicts(results)
    ]
    if not rows:
        return ["The paper's methods were not run on its tasks."]
    return [
        'Time (paper) or evaluations (ours) to 1 % of the parameter error, as a ratio to AggregateHVP + CG; "yes"'
        f" within a factor of {_SAME_SIZE:g}.",
        _markdown(["task", "claim", "paper", "ours", "reproduces"], rows),
    ]


def unknown_rows(results: Results, task: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows for a task whose answer is unknown: value, evaluations, seconds."""
    rows = []
    for method in results.methods(task):
        # A failed run has no value and counts as infinite.
        found = {name: results.values(task, method, name) for name in ("fun", "nfev", "seconds")}
        fun, nfev, seconds = (np.where(np.isnan(values), np.inf, values) for values in found.values())
        low, high = (number(quantile(fun, q), 4) for q in (0.25, 0.75))
        value = f"{number(median(fun), 4)} [{low}, {high}]"
        rows.append([method, value, number(median(nfev), 4), number(median(seconds))])
    return ["method", "value, median [quartiles]", results.cost(task), "s"], rows


def _task(results: Results, task: str, links: dict[str, str]) -> list[str]:
    if not results.is_known(task):
        header, rows = unknown_rows(results, task)
        return [f"### {task.upper()}", f"{UNKNOWN[0].upper()}{UNKNOWN[1:]}.", _markdown(header, rows)]
    names = [column("renders", "parameter", f) for f in FRACTIONS] + [column("renders", "image", 0.01)]
    rows = []
    for method in sorted(results.methods(task), key=lambda m: (results.spread(task, m, names[1])[0], m)):
        cells = [_spread(results, task, method, name) for name in names]
        seconds = number(results.spread(task, method, column("seconds", "parameter", 0.01))[0])
        rows.append([f"`{method}`", *cells, seconds])
    header = ["method", *(f"parameter {100 * f:g} %" for f in FRACTIONS), "image 1 %", "s"]
    return [f"### {task.upper()}", _markdown(header, rows), f"![convergence]({links[task]})"]


def _spread(results: Results, task: str, method: str, name: str) -> str:
    middle, low, high, solved, total = results.spread(task, method, name)
    return f"{number(middle, 4)} [{number(low, 4)}, {number(high, 4)}] {solved}/{total}"


def _table_1() -> str:
    rows = []
    for name, paper in EVALUATIONS.items():
        made = find("estimators", name)(**({} if name == "fd" else {"n_samples": 1}))
        counts = [
            "-" if quantity is None else ", ".join(str(cost(n)) for n in _DIMENSIONS)
            for quantity, cost in zip(_quantities(paper), (made.cost, made.hess_cost, made.hessp_cost), strict=True)
        ]
        rows.append([f"`{name}`", *(f"{ours} ({theirs})" for ours, theirs in zip(counts, paper, strict=True))])
    header = ["estimator", "value and gradient", "Hessian on top", "each product on top"]
    sizes = f"{', '.join(map(str, _DIMENSIONS[:-1]))} and {_DIMENSIONS[-1]}"
    note = f"For n = {sizes}, one antithetic pair each; in brackets the paper's order for one sample."
    return note + "\n\n" + _markdown(header, rows)


def _quantities(paper: tuple[str, ...]) -> list[str | None]:
    """The paper's orders; None if an estimator does not provide the quantity."""
    return [None if order == "-" else order for order in paper]


def _failures(results: Results) -> list[str]:
    failed = [r for r in results.rows if r["failure"] is not None]
    lines = [f"- {r['task']} `{r['method']}`, start {r['seed']}: {r['failure']}" for r in failed]
    refused = [f"- `{pairing}`: {reason}" for pairing, reason in sorted(results.run["refused"].items())]
    return [
        "Runs that failed, which count as infinite:" if lines else "No run failed.",
        *(["\n".join(lines)] if lines else []),
        *(["Pairings that cannot work, and were not run:", "\n".join(refused)] if refused else []),
    ]


def _link(target: Path, source: Path) -> str:
    return Path(os.path.relpath(target.absolute(), source.absolute().parent)).as_posix()
