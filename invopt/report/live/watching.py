"""Runs of a journal, watched from another process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from invopt.core.formatting import shown
from invopt.core.problem import Problem
from invopt.exceptions import JournalError
from invopt.journal import Evaluations, Journal, RunRecord
from invopt.report.live.glimpse import MOST_ROWS, Glimpse, Pictures, rows_of
from invopt.report.live.page import page

__all__ = ["watch"]


def watch(
    journal: Journal,
    out: Path,
    *,
    run: int | None = None,
    problem: Problem | None = None,
    every: float = 2.0,
    once: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Glimpse]:
    """Write the page of a run again and again, until it has ended.

    Parameters
    ----------
    journal : Journal
        The journal that the run writes.
    out : Path
        The page.
    run : int, optional
        Number of the run; by default the last one.
    problem : Problem, optional
        The problem of the run, for its pictures and the units of its parameters. It is opened in this process.
    every : float, default 2
        Seconds between two pages, > 0; those that a page takes come on top.
    once : bool, default False
        Write one page, and end.
    sleep : callable, optional
        ``sleep(seconds)``.

    Yields
    ------
    Glimpse
        After each page, what is on it. The last page does not refresh itself.
    """
    with ExitStack() as stack:
        pictures: Pictures | None = None
        while True:
            record = _record(journal, run)
            found = journal.evaluations(record.id)
            if problem is not None:
                _check_names(problem, record)
                if pictures is None and len(found) > 0:
                    pictures = Pictures(stack.enter_context(problem.open()), found.x[0])
            glimpse = _glimpse(record, found, problem, pictures)
            ended = record.status is not None or once
            _write(out, page(glimpse, refresh=None if ended else every))
            yield glimpse
            if ended:
                return
            sleep(every)


def _record(journal: Journal, run: int | None) -> RunRecord:
    runs = [record for record in journal.runs if run in (None, record.id)]
    if not runs:
        raise JournalError(f"{str(journal.path)!r} has no run{'' if run is None else f' {run}'}")
    return runs[-1]


def _check_names(problem: Problem, record: RunRecord) -> None:
    if problem.names != record.names:
        raise JournalError(
            f"the run has the parameters {shown(list(record.names))}, and the problem {shown(list(problem.names))}: "
            f"give the problem of the run"
        )


def _glimpse(record: RunRecord, found: Evaluations, problem: Problem | None, pictures: Pictures | None) -> Glimpse:
    seen = np.flatnonzero(np.isfinite(found.fun))
    best = int(seen[np.argmin(found.fun[seen])]) if seen.size else None
    now = found.x[best] if best is not None else (found.x[0] if len(found) else None)
    if record.x is not None:
        now = record.x
    facts = {
        "value" if record.fun is not None else "lowest value": _value(record, found, best),
        "evaluations": str(len(found)),
        "seconds": f"{found.clock[-1]:.0f}" if len(found) else "0",
    }
    name, estimator, method = (text.partition("(")[0] for text in (record.problem, record.estimator, record.method))
    rows = () if now is None else _rows(problem, record, found.x[0], now)
    return Glimpse(
        title=f"{name}, {estimator}, {method}: {record.message or 'running'}",
        facts=facts,
        rows=rows,
        nfev=np.arange(1.0, len(found) + 1),
        fun=found.fun,
        pictures={} if now is None or pictures is None else pictures.at(now),
    )


def _value(record: RunRecord, found: Evaluations, best: int | None) -> str:
    if record.fun is not None:
        return f"{record.fun:.4g}"
    return "" if best is None else f"{found.fun[best]:.4g}"


def _rows(
    problem: Problem | None, record: RunRecord, first: NDArray[np.float64], now: NDArray[np.float64]
) -> tuple[tuple[str, str, str], ...]:
    if problem is not None:
        return rows_of(problem, first, now)
    if len(record.names) > MOST_ROWS:
        return ()
    return tuple((name, f"{a:.5g}", f"{b:.5g}") for name, a, b in zip(record.names, first, now, strict=True))


def _write(path: Path, text: str) -> None:
    # Renamed: a browser must not read half a page.
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
