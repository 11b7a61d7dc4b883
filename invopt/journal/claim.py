"""Claim: the run of a journal that a call continues, or a new one."""

from __future__ import annotations

import json
import math
import platform
from contextlib import closing
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from invopt.core.identity import digest
from invopt.exceptions import JournalError
from invopt.journal import owner
from invopt.journal.schema import EmptyJournalError, connect, errors_of

__all__ = ["Candidate", "Claim", "candidates", "environment", "subject_of"]

_PACKAGES = ("invopt", "numpy", "scipy", "torch", "mitsuba", "drjit")
# Characters of a description that are kept for readers: some lines; arrays in it can be far longer.
_MAX_DESCRIPTION = 500


@frozen(kw_only=True, eq=False)
class Claim:
    """A run to continue, or to begin.

    Parameters
    ----------
    path : Path
        The journal.
    run : int or None
        Number of the run; None for a new one.
    subject : str
        Digest of the problem with its start, bounds and scales.
    parts : dict of str
        Digests of all parts of the run, with estimator, method and generator.
    rng : dict
        State of the random generator at the start.
    choice_maxfev : float
        Evaluation budget for which estimator and method were chosen.
    x_scale : ndarray, shape (n,)
        Scales.
    texts : dict of str, optional
        Descriptions of problem, estimator and method, and the names of the parameters.
    """

    path: Path
    run: int | None
    subject: str
    parts: dict[str, str]
    rng: dict[str, Any]
    choice_maxfev: float
    x_scale: NDArray[np.float64]
    texts: dict[str, Any] = field(factory=dict)

    def described(self) -> dict[str, Any]:
        """Columns of a new run."""
        shown = {name: str(self.texts[name])[:_MAX_DESCRIPTION] for name in ("problem", "estimator", "method")}
        return {
            "parts": json.dumps(self.parts),
            "rng": as_json(self.rng),
            "choice_maxfev": None if math.isinf(self.choice_maxfev) else self.choice_maxfev,
            "names": json.dumps(list(self.texts["names"])),
            "environment": json.dumps(environment()),
            **shown,
        }


@frozen(kw_only=True, eq=False)
class Candidate:
    """A run of a journal that can be continued."""

    run: int
    parts: dict[str, str]
    rng: dict[str, Any]
    choice_maxfev: float
    environment: dict[str, str]


def subject_of(parts: dict[str, str]) -> str:
    """One digest of several digests."""
    return digest(parts, "the problem")


def candidates(path: Path, subject: str) -> list[Candidate]:
    """Runs of a subject that no process writes; that with most evaluations first."""
    if not path.exists():
        return []
    query = (
        "SELECT id, parts, rng, choice_maxfev, environment, owner FROM run JOIN subject ON subject.run = run.id "
        "WHERE subject.digest = ? AND replayable "
        "ORDER BY (SELECT count(*) FROM evaluation WHERE evaluation.run = run.id) DESC, id DESC"
    )
    try:
        with closing(connect(path, write=False)) as connection, errors_of(path):
            rows = connection.execute(query, (subject,)).fetchall()
    except EmptyJournalError:
        return []
    return [_candidate(path, row) for row in rows if not owner.is_alive(row[5])]


def _candidate(path: Path, row: tuple[Any, ...]) -> Candidate:
    run, parts, rng, maxfev, where, _ = row
    try:
        return Candidate(
            run=int(run),
            parts=dict(json.loads(parts)),
            rng=_arrays(json.loads(rng)),
            choice_maxfev=math.inf if maxfev is None else float(maxfev),
            environment=dict(json.loads(where)),
        )
    except (ValueError, TypeError) as error:
        raise JournalError(f"{str(path)!r} is damaged: run {run} cannot be read: {error}") from None


def as_json(state: dict[str, Any]) -> str:
    """State of a random generator as JSON."""
    return json.dumps(state, default=_listed)


def _listed(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {"dtype": value.dtype.str, "array": value.tolist()}
    return value.item()


def _arrays(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value.keys() == {"dtype", "array"}:
        return np.array(value["array"], dtype=value["dtype"])
    return {name: _arrays(item) for name, item in value.items()}


def environment() -> dict[str, str]:
    """Versions and machine, on which the last bits of a result depend; a copy."""
    return dict(_environment())


@cache
def _environment() -> dict[str, str]:
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found
