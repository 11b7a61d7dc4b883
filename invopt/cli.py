"""Command `invopt`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape

from invopt.bench import commands
from invopt.bench.bbob.commands import bbob
from invopt.bench.more_wild.commands import more_wild
from invopt.core.result import OptimizeResult
from invopt.core.validators import require
from invopt.exceptions import InvoptError
from invopt.journal import Journal
from invopt.report.live.watching import watch
from invopt.report.records import write_all, write_record, write_scene
from invopt.report.tables import (
    correlations_table,
    doctor_table,
    evaluations_table,
    outcome_table,
    registry_table,
    runs_table,
)
from invopt.run.loop import run_loop
from invopt.run.run import Run
from invopt.runfiles import launch, of_command, save_run_file

__all__ = ["main"]

app = typer.Typer(
    help="Optimization through renderers and other black boxes.", no_args_is_help=True, add_completion=False
)


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="Name of a problem, see `invopt list`; or a run file (.toml).")],
    estimator: Annotated[
        str | None, typer.Option(help="Estimator of derivatives; by default chosen automatically.")
    ] = None,
    method: Annotated[str | None, typer.Option(help="Optimization method; by default chosen automatically.")] = None,
    sigma: Annotated[float | None, typer.Option(help="First sigma of the smoothing, in units of x_scale.")] = None,
    maxfev: Annotated[int | None, typer.Option(help="Evaluation budget; by default that of the problem.")] = None,
    maxtime: Annotated[float | None, typer.Option(help="Seconds, in place of the problem's own budget.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the random start and of the run; by default 0.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Number of processes that evaluate; by default 1, this one only.")
    ] = None,
    scene: Annotated[str | None, typer.Option(help="Scene of a problem that has one: a name or an XML file.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Set a field of the problem, or estimator.FIELD or method.FIELD; can be repeated.",
        ),
    ] = None,
    journal: Annotated[
        Path | None, typer.Option(help="File that keeps every evaluation; a run found in it is continued.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="File that keeps the training of a network; one found in it is continued.")
    ] = None,
    every: Annotated[
        int | None, typer.Option(help="Iterations after which the checkpoint is written, besides once a minute.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for images, plots and the result.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Show parameters and pictures while it runs.")] = False,
    save_toml: Annotated[Path | None, typer.Option(help="Run file to write, of this command.")] = None,
) -> None:
    """Solve a problem from a random start, or a run file, and show the result."""
    given = {
        "estimator": estimator,
        "method": method,
        "maxfev": maxfev,
        "maxtime": maxtime,
        "seed": seed,
        "sigma": sigma,
        "workers": workers,
        "journal": journal and str(journal),
        "checkpoint": checkpoint and str(checkpoint),
        "every": every,
        "out": out and str(out),
    }
    with _as_usage_errors():
        changed = [*(settings or []), *([] if scene is None else [f"scene={scene}"])]
        file = of_command(name, changed, {key: value for key, value in given.items() if value is not None})
        prepared, start = launch(file, live=live)
        if save_toml is not None:
            save_run_file(file, save_toml)
            Console().print(f"wrote {save_toml}", soft_wrap=True, markup=False)
        folder = None if "out" not in file.options else Path(file.options["out"])
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    result = _solve(prepared, start, folder)
    if file.has_scene and folder is not None:
        for path in write_scene(result, folder):
            Console().print(f"wrote {path}", soft_wrap=True, markup=False)


def _solve(prepared: Run, start: NDArray[np.float64], out: Path | None) -> OptimizeResult:
    """Run, print the result, and write it if there is a folder.

    After an error, write what was found so far.
    """
    console = Console()
    with prepared.open() as objective:
        try:
            result = run_loop(prepared, objective)
        except InvoptError as error:
            if out is not None and error.result is not None:
                message = f"wrote {write_record(error.result, out)}, the result up to the error"
                console.print(message, soft_wrap=True, markup=False)
            raise
        console.print(outcome_table(result, start))
        if (correlations := correlations_table(result)) is not None:
            console.print(correlations)
        if out is not None:
            for path in write_all(objective, result, start, out):
                console.print(f"wrote {path}", soft_wrap=True, markup=False)
    return result


@contextmanager
def _as_usage_errors() -> Iterator[None]:
    """Turn errors in the arguments into `InvoptError`.

    Errors in a run keep their traceback.
    """
    try:
        yield
    except (TypeError, ValueError, OSError) as error:
        raise error if isinstance(error, InvoptError) else InvoptError(str(error)) from None


@app.command("list")
def list_() -> None:
    """List problems, estimators and optimizers."""
    Console().print(registry_table())


def _measuring(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command whose errors are errors of usage."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        with _as_usage_errors():
            command(*args, **kwargs)

    return run


for measure in (commands.bench, more_wild, bbob):
    app.command(measure.__name__.replace("_", "-"))(_measuring(measure))
app.command()(commands.table)


@app.command("journal")
def journal_(
    file: Annotated[Path, typer.Argument(help="Journal that `invopt run --journal` wrote.")],
    number: Annotated[int | None, typer.Option("--run", help="Number of a run whose evaluations are listed.")] = None,
) -> None:
    """List the runs of a journal, or the evaluations of one run."""
    journal = Journal(file)
    console = Console(soft_wrap=True)
    if number is None:
        console.print(runs_table(journal.runs))
    else:
        console.print(evaluations_table(journal, number))


@app.command("watch")
def watch_(
    file: Annotated[Path, typer.Argument(help="Journal that a run writes.")],
    number: Annotated[int | None, typer.Option("--run", help="Number of the run; by default the last.")] = None,
    problem: Annotated[
        str | None, typer.Option(help="Name of its problem, or its run file (.toml), for pictures and units.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The page.")] = Path("watch.html"),
    every: Annotated[float, typer.Option(help="Seconds between two pages.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Write one page, and end.")] = False,
) -> None:
    """Write a page of a run, which refreshes itself in a browser until the run ends."""
    with _as_usage_errors():
        require("--every", 0 < every < math.inf, "> 0 and finite", every)
        described = None if problem is None else of_command(problem, [], {}).problem
    console = Console(soft_wrap=True, markup=False)
    try:
        for number_of_pages, _ in enumerate(
            watch(Journal(file), out, run=number, problem=described, every=every, once=once)
        ):
            if number_of_pages == 0:
                console.print(f"wrote {out}; Ctrl-C ends")
    except KeyboardInterrupt:
        return


@app.command("scene")
def scene_(
    file: Annotated[Path, typer.Argument(help="XML file of a scene.")],
    new: Annotated[Path | None, typer.Argument(help="With --upgrade: the file to write.")] = None,
    upgraded: Annotated[
        bool, typer.Option("--upgrade", help="Write a file of Mitsuba 0.6 as one of Mitsuba 3, and list the changes.")
    ] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Set a $variable of the file; repeatable.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="PNG file for a picture of the shapes with their numbers.")] = None,
) -> None:
    """List what can be unknown in a scene, each with a binding to copy."""
    from invopt.rendering import explore
    from invopt.rendering.reading.upgrade import upgrade

    with _as_usage_errors():
        require("--upgrade", upgraded == (new is not None), "given with an old file and a new one", new)
        if new is not None:
            Console(soft_wrap=True, markup=False, highlight=False).print(f"{upgrade(file, new)}\nwrote {new}")
            return
        found = explore(file, variables=dict(_pair(setting) for setting in settings or []))
    console = Console(soft_wrap=True, markup=False, highlight=False)
    console.print(found)
    if out is not None:
        found.plot().figure.savefig(out, bbox_inches="tight")
        console.print(f"wrote {out}")


def _pair(setting: str) -> tuple[str, str]:
    name, equals, value = setting.partition("=")
    require("--set", bool(name and equals), "NAME=VALUE", setting)
    return name, value


@app.command()
def doctor(
    install: Annotated[
        bool, typer.Option("--install", help="Install what is missing, if that needs no password.")
    ] = False,
) -> None:
    """Show what this machine can render with, and the command that would improve it."""
    from invopt.rendering import install as install_llvm
    from invopt.rendering.device import doctor as examination

    console = Console(soft_wrap=True)
    if install:
        console.print(install_llvm().message, highlight=False)
    console.print(doctor_table(examination.report()))


def main() -> None:
    """Run the command; an `InvoptError` is shown as one line without a traceback."""
    try:
        # Without a name, `python -m invopt` would show itself as `python -m invopt`.
        app(prog_name="invopt")
    except InvoptError as error:
        Console(stderr=True).print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True, highlight=False)
        raise SystemExit(2) from None
