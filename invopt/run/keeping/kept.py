"""Kept: the file of a run, its digests and its parts.

The digests identify the run there; the parts are those it continues with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray
from scipy.optimize import Bounds

from invopt.core.identity import Digests, digest
from invopt.core.problem import Problem, has_weights
from invopt.exceptions import IncompatibleError
from invopt.journal import Journal
from invopt.journal.claim import Claim
from invopt.journal.reader import as_journal
from invopt.run.default_parts import Choice
from invopt.run.keeping.resuming import resume
from invopt.run.keeping.run_identity import part_digests, rng_digest, subject_digests
from invopt.snapshots import Checkpoint, as_checkpoint

__all__ = ["Composed", "Files", "Kept", "Subject", "as_files", "compose"]


class Files(NamedTuple):
    """Journal or checkpoint of a run; None for no file."""

    journal: Journal | None
    checkpoint: Checkpoint | None


_NONE = Files(None, None)


@frozen(kw_only=True, eq=False)
class Subject:
    """Problem, start, bounds and scales of a run.

    `identity` stands for the content of the problem.
    """

    problem: Problem
    x0: NDArray[np.float64]
    bounds: Bounds | None
    x_scale: NDArray[np.float64]
    identity: str | None

    def digests(self) -> Digests:
        """Digest of each part, and of what the problem reaches and others may change."""
        found = subject_digests(self.problem, self.bounds, self.x_scale, self.identity)
        return found._replace(parts=found.parts | {"start": digest(self.x0, "x0")})


@frozen(kw_only=True, eq=False)
class Kept:
    """How a run is kept; empty if it is not.

    Attributes
    ----------
    files : Files
    subject : Subject or None
    digests : dict of str
        Digests of all parts of the run.
    surroundings : str
        Digest of globals, modules and classes that the problem reaches and others may change.
    given : frozenset of str
        Parts that a checkpoint must agree in: start and generator only if they were given.
    claim : Claim or None
        The run in the journal.
    environment : dict of str
        Versions and machine of the beginning of this run; empty for a new one.
    """

    files: Files = _NONE
    subject: Subject | None = None
    digests: dict[str, str] = field(factory=dict)
    surroundings: str = ""
    given: frozenset[str] = frozenset()
    claim: Claim | None = None
    environment: dict[str, str] = field(factory=dict)


class Composed(NamedTuple):
    """Estimator, method and generator of a run, and how it is kept."""

    choice: Choice
    rng: np.random.Generator
    kept: Kept


def as_files(problem: Problem, journal: Any, checkpoint: Any) -> Files:
    """Journal or checkpoint of a run.

    A checkpoint of a problem that trains no network is a journal at that path.
    """
    if has_weights(problem):
        if journal is not None:
            raise IncompatibleError(
                f"'journal' keeps evaluations, and {type(problem).__name__} trains a network: give 'checkpoint', which "
                f"keeps its weights"
            )
        return Files(None, as_checkpoint(checkpoint))
    if checkpoint is None:
        return Files(as_journal(journal), None)
    return Files(as_journal(checkpoint.path if isinstance(checkpoint, Checkpoint) else checkpoint, "checkpoint"), None)


def compose(
    subject: Subject,
    choose: Callable[..., Choice],
    maxfev: float,
    rng: np.random.Generator,
    files: Files,
    given: dict[str, bool],
) -> Composed:
    """Choose the parts of a run, or find those in the journal that it continues.

    Parameters
    ----------
    subject : Subject
        Problem, start, bounds and scales.
    choose : callable
        ``choose(maxfev, batch)``: estimator and method for a budget, and for as many evaluations at once; by default
        as many as there are workers.
    maxfev : float
        Budget of this call.
    rng : Generator
        Generator of this call.
    files : Files
        Files of the run.
    given : dict of bool
        Whether "start" and "rng" were given.
    """
    if files == _NONE:
        return Composed(choose(maxfev), rng, Kept())
    digests, surroundings = subject.digests()
    needed = frozenset(name for name in [*digests, "estimator", "method", "rng"] if given.get(name, True))
    if files.journal is None:
        choice = choose(maxfev)
        whole = digests | part_digests(choice.estimator, choice.method) | {"rng": rng_digest(rng)}
        return Composed(choice, rng, Kept(files=files, subject=subject, digests=whole, given=needed))
    found = resume(
        files.journal,
        subject.problem,
        digests,
        choose,
        maxfev,
        rng,
        rng_given=given["rng"],
        x_scale=subject.x_scale,
    )
    kept = Kept(
        files=files,
        subject=subject,
        digests=digests,
        surroundings=surroundings,
        given=needed,
        claim=found.claim,
        environment=found.environment,
    )
    return Composed(found.choice, found.rng, kept)
