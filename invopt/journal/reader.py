"""Journal: a file of runs and evaluations, as readers see it."""

from __future__ import annotations

import importlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from invopt.core.formatting import shown
from invopt.core.validators import as_integer, as_path, integer
from invopt.exceptions import JournalError
from invopt.journal.rows import COLUMNS, Evaluation, from_row
from invopt.journal.schema import check_kind, connect, errors_of

__all__ = ["Evaluations", "Journal", "RunRecord", "as_journal"]


@frozen(kw_only=True, eq=False)
class RunRecord:
    """Description of a run in a journal.

    Attributes
    ----------
    id : int
        Number in the file.
    created : float
        When the run began, in seconds since 1970.
    problem, estimator, method : str
        Descriptions of the parts.
    names : tuple of str
        Names of the parameters.
    evaluations : int
        Number of evaluations in the file.
    status, message : str or None
        How the run ended; None while it runs, or if it was killed.
    x : ndarray, shape (n,), or None
        The answer.
    fun, fun_standard_error : float or None
        Value at `x` and its standard error.
    nfev : int or None
        Evaluations as the run counts them: one with more samples per pixel counts as several.
    seconds : float or None
        Time that the run took.
    environment : dict of str
        Versions and machine at its start.
    """

    id: int
    created: float
    problem: str
    estimator: str
    method: str
    names: tuple[str, ...]
    evaluations: int
    status: str | None
    message: str | None
    x: NDArray[np.float64] | None
    fun: float | None
    fun_standard_error: float | None
    nfev: int | None
    seconds: float | None
    environment: dict[str, str]


@frozen(kw_only=True, eq=False)
class Evaluations:
    """Evaluations of a run as arrays, in the order of the method's requests.

    Attributes
    ----------
    x : ndarray, shape (k, n)
        Points.
    fun : ndarray, shape (k,)
        Values; of residuals, their mean squares; nan for failed ones.
    seed : ndarray of int64, shape (k,)
        Seeds.
    spp : ndarray, shape (k,)
        Samples per pixel; nan for the problem's own.
    seconds, clock : ndarray, shape (k,)
        Time that each took, and when it ended, since the run began.
    purpose, kind, worker, failure : tuple of str
        "descent" or "answer"; "fun", "residuals", "constrained", "derivative", "hessian" or "shading"; host and
        process, empty for the process of the run; message of a failed evaluation, else empty.
    residuals : tuple of (ndarray or None)
        Residuals of shape (m,), derivatives of shape (n,) or Hessians of shape (n n,); None for other evaluations.
    """

    x: NDArray[np.float64]
    fun: NDArray[np.float64]
    seed: NDArray[np.int64]
    spp: NDArray[np.float64]
    seconds: NDArray[np.float64]
    clock: NDArray[np.float64]
    purpose: tuple[str, ...]
    kind: tuple[str, ...]
    worker: tuple[str, ...]
    failure: tuple[str, ...]
    residuals: tuple[NDArray[np.floating] | None, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.fun)


def _as_path(value: str | Path) -> Path:
    return as_path("path", value)


@frozen
class Journal:
    """A file that holds runs with all their evaluations.

    ``minimize(..., journal=path)`` writes it. Many runs of many problems share one file.

    Parameters
    ----------
    path : str or Path
        The file.
    max_bytes : int, default 2**31
        Size above which residuals are dropped when a run ends: those of runs that have ended, the oldest first. Such a
        run cannot be continued, but its points and values stay. The newest run always keeps its residuals.

    Raises
    ------
    JournalError
        If the file is no journal; when it is read, if it is missing, damaged, locked or of a newer version.

    Examples
    --------
    >>> import invopt, tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "runs.sqlite")
    >>> res = invopt.minimize("quad", rng=0, maxfev=40, journal=path)
    >>> journal = invopt.Journal(path)
    >>> [(run.problem, run.nfev == res.nfev) for run in journal.runs]
    [('Quadratic(a=5.0, b=5.0, c=7.5)', True)]
    >>> journal.evaluations().x.shape[1]
    2
    >>> folder.cleanup()
    """

    path: Path = field(converter=_as_path)
    max_bytes: int = field(default=2**31, kw_only=True, validator=integer(0, 2**63 - 1))

    def __attrs_post_init__(self) -> None:
        check_kind(self.path)

    @property
    def runs(self) -> tuple[RunRecord, ...]:
        """All runs, in the order in which they began."""
        query = (
            "SELECT id, created, problem, estimator, method, names, status, message, x, fun, fun_standard_error, nfev, "
            "seconds, environment, (SELECT count(*) FROM evaluation WHERE evaluation.run = run.id) FROM run ORDER BY id"
        )
        with self._open() as connection:
            rows = connection.execute(query).fetchall()
        return tuple(_record(self.path, row) for row in rows)

    def evaluations(self, run: int | None = None) -> Evaluations:
        """Evaluations of a run as arrays; by default of the last run."""
        items = sorted(self._items(self._number(run)), key=lambda item: item.number)
        n = items[0].x.size if items else 0
        return Evaluations(
            x=np.array([item.x for item in items]).reshape(len(items), n),
            fun=np.array([item.value for item in items], dtype=np.float64),
            seed=np.array([item.seed for item in items], dtype=np.int64),
            spp=np.array([np.nan if item.spp is None else item.spp for item in items], dtype=np.float64),
            seconds=np.array([item.seconds for item in items], dtype=np.float64),
            clock=np.array([item.clock for item in items], dtype=np.float64),
            purpose=tuple(item.purpose for item in items),
            kind=tuple(item.kind for item in items),
            worker=tuple(item.worker for item in items),
            failure=tuple(item.failure or "" for item in items),
            residuals=tuple(item.vector for item in items),
        )

    def frame(self, run: int | None = None) -> Any:
        """Evaluations of a run as a pandas data frame with a column for each parameter.

        Needs pandas.
        """
        try:
            pandas = importlib.import_module("pandas")
        except ImportError as error:
            raise ImportError("'frame' needs pandas: pip install pandas; or use 'evaluations'") from error
        number = self._number(run)
        names = next(record.names for record in self.runs if record.id == number)
        found = self.evaluations(number)
        columns: dict[str, Any] = {name: found.x[:, i] for i, name in enumerate(names)} if len(found) else {}
        for name in ("fun", "seed", "spp", "seconds", "clock", "purpose", "kind", "worker", "failure"):
            # A parameter may have the same name.
            columns[f"{name}_" if name in columns else name] = getattr(found, name)
        return pandas.DataFrame(columns)

    def _items(self, run: int) -> Iterator[Evaluation]:
        with self._open() as connection:
            rows = connection.execute(f"SELECT {COLUMNS} FROM evaluation WHERE run = ? ORDER BY serial", (run,))
            for row in rows:
                item = from_row(row)
                if item is None:
                    raise JournalError(
                        f"{str(self.path)!r} is damaged: evaluation {row[2]} of run {run} is not as written"
                    )
                yield item

    def _number(self, run: int | None) -> int:
        known = [record.id for record in self.runs]
        if run is None and known:
            return known[-1]
        if run is None or as_integer("run", run) not in known:
            raise JournalError(f"{str(self.path)!r} has no run {run}: it has {known or 'none'}")
        return int(run)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(connect(self.path, write=False)) as connection, errors_of(self.path):
                yield connection
        except OSError as error:
            raise JournalError(str(error)) from None


def as_journal(value: Any, name: str = "journal") -> Journal | None:
    """Return a journal as it is, a path as a `Journal`, None as None."""
    if value is None or isinstance(value, Journal):
        return value
    if isinstance(value, str | Path) and str(value):
        return Journal(as_path(name, value))
    raise TypeError(f"'{name}' must be a path or a Journal: {shown(value)}")


def _record(path: Path, row: tuple[Any, ...]) -> RunRecord:
    run, created, problem, estimator, method, names, status, message, x, *numbers, where, count = row
    fun, error, nfev, seconds = numbers
    try:
        return RunRecord(
            id=run,
            created=created,
            problem=problem,
            estimator=estimator,
            method=method,
            names=tuple(json.loads(names)),
            evaluations=count,
            status=status,
            message=message,
            x=None if x is None else np.frombuffer(x, np.float64).copy(),
            fun=fun,
            fun_standard_error=error,
            nfev=nfev,
            seconds=seconds,
            environment=dict(json.loads(where)),
        )
    except (ValueError, TypeError) as error:
        raise JournalError(f"{str(path)!r} is damaged: run {run} cannot be read: {error}") from None
