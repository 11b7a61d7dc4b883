"""Find the run of a journal that a call of `minimize` continues."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from invopt.core.identity import digest
from invopt.core.problem import Problem
from invopt.exceptions import JournalError
from invopt.journal import Journal
from invopt.journal.claim import Candidate, Claim, candidates, subject_of
from invopt.run.default_parts import Choice
from invopt.run.keeping.run_identity import part_digests, rng_digest

__all__ = ["Resumption", "resume"]

# Most workers of an earlier call that a later one looks for.
_MOST_WORKERS = 64


@frozen(kw_only=True, eq=False)
class Resumption:
    """A claim on a run, the parts chosen for it, its generator and its environment.

    Attributes
    ----------
    claim : Claim
    choice : Choice
    rng : Generator
    environment : dict of str
        Versions and machine of the beginning of the run; empty for a new one.
    """

    claim: Claim
    choice: Choice
    rng: np.random.Generator
    environment: dict[str, str]


def resume(
    journal: Journal,
    problem: Problem,
    subject: dict[str, str],
    choose: Callable[..., Choice],
    maxfev: float,
    rng: np.random.Generator,
    *,
    rng_given: bool,
    x_scale: NDArray[np.float64],
) -> Resumption:
    """Find the run to continue, or describe a new one.

    Parameters
    ----------
    journal : Journal
        Its file.
    problem : Problem
        What is minimised.
    subject : dict of str
        Digests of the problem, start, bounds and scales.
    choose : callable
        ``choose(maxfev, batch)``: estimator and method, which may depend on the budget and on the number of workers. A
        run that continues with a larger budget or other workers keeps its parts.
    maxfev : float
        Budget of this call.
    rng : Generator
        Generator of this call.
    rng_given : bool
        Whether the user gave it; otherwise a run continues with its own.
    x_scale : ndarray, shape (n,)
        Scales.
    """
    own = choose(maxfev)
    wanted = rng_digest(rng) if rng_given else None
    for candidate in _found(journal, subject):
        if digest(candidate.rng, "rng") != candidate.parts.get("rng"):
            raise JournalError(f"{str(journal.path)!r} is damaged: the generator of run {candidate.run} was changed")
        if wanted is not None and wanted != candidate.parts["rng"]:
            continue
        choice = _matching(candidate, own, choose)
        if choice is not None:
            claim = _claim(journal, problem, subject, choice, candidate.rng, candidate.choice_maxfev, x_scale)
            return Resumption(
                claim=evolve(claim, run=candidate.run),
                choice=choice,
                rng=_generator(journal, candidate.rng),
                environment=candidate.environment,
            )
    claim = _claim(journal, problem, subject, own, rng.bit_generator.state, maxfev, x_scale)
    return Resumption(claim=claim, choice=own, rng=rng, environment={})


def _found(journal: Journal, subject: dict[str, str]) -> list[Candidate]:
    # A folder that cannot be read is reported when the run begins.
    with contextlib.suppress(OSError):
        return candidates(journal.path, subject_of(subject))
    return []


def _matching(candidate: Candidate, own: Choice, choose: Callable[..., Choice]) -> Choice | None:
    """Return the parts that the run began with, if they are the parts of this call.

    Its number of workers may have been another one.
    """
    others = (choose(candidate.choice_maxfev, batch) for batch in (None, *range(1, _MOST_WORKERS + 1)))
    for choice in itertools.chain([own], others):
        if part_digests(choice.estimator, choice.method).items() <= candidate.parts.items():
            return choice
    return None


def _claim(
    journal: Journal,
    problem: Problem,
    subject: dict[str, str],
    choice: Choice,
    rng: Any,
    maxfev: float,
    x_scale: NDArray[np.float64],
) -> Claim:
    parts = subject | part_digests(choice.estimator, choice.method) | {"rng": digest(rng, "rng")}
    texts = {
        "problem": repr(problem),
        "estimator": repr(choice.estimator),
        "method": repr(choice.method),
        "names": problem.names,
    }
    return Claim(
        path=journal.path,
        run=None,
        subject=subject_of(subject),
        parts=parts,
        rng=rng,
        choice_maxfev=maxfev,
        x_scale=x_scale,
        texts=texts,
    )


def _generator(journal: Journal, state: Any) -> np.random.Generator:
    kind = getattr(np.random, str(state.get("bit_generator")), None)
    if not (isinstance(kind, type) and issubclass(kind, np.random.BitGenerator)):
        raise JournalError(f"{str(journal.path)!r} is damaged: its generator is {state.get('bit_generator')!r}")
    found = kind()
    found.state = state
    return np.random.Generator(found)
