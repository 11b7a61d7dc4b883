"""Errors of invopt: one root, each with a builtin parent, each carrying its data."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

__all__ = [
    "BackendError",
    "CheckpointError",
    "EntryPointError",
    "EvaluationError",
    "EvaluationTimeoutError",
    "IdentityError",
    "IncompatibleError",
    "InvoptError",
    "JournalError",
    "JournalWarning",
    "NonFiniteError",
    "SceneError",
    "UnknownNameError",
    "WrongValueError",
    "suggest",
]


# Names that an error lists: a scene may have thousands.
_SHOWN = 12


class InvoptError(Exception):
    """Root of all errors raised by invopt.

    Attributes
    ----------
    result : OptimizeResult or None
        What an interrupted run had found so far; None if it had not started.
    """

    # Untyped: what it is an instance of is made of what raises these.
    result: Any = None


class IncompatibleError(InvoptError, TypeError):
    """Problem, estimator and method do not fit together; raised before the first evaluation."""


class EvaluationError(InvoptError, RuntimeError):
    """The objective raised an exception, took too long or returned a value of the wrong shape; or a worker was lost."""


class WrongValueError(EvaluationError):
    """The objective returned a value of the wrong shape or type; unlike an exception, no failed evaluation."""


class EvaluationTimeoutError(EvaluationError, TimeoutError):
    """An evaluation took longer than `timeout`."""


class NonFiniteError(InvoptError, FloatingPointError):
    """Too large a share of the objective's values was nan or infinite."""


class BackendError(InvoptError, RuntimeError):
    """No renderer backend as asked for is usable on this machine."""


class CheckpointError(InvoptError, ValueError):
    """A checkpoint that cannot be written or read, or is of another run; the message says in what it differs."""


class JournalError(InvoptError, ValueError):
    """A file that is no journal, is of a newer version, is damaged or locked; or a run that it cannot keep."""


class JournalWarning(UserWarning):
    """A journal or a checkpoint could not be written, or not in full: the result is not affected."""


class IdentityError(InvoptError, TypeError):
    """Something that is to be kept in a file cannot be told from others by its content; the message says what."""


class EntryPointError(InvoptError, ImportError):
    """A part that another package registers cannot be used; the message names the package and the reason."""


class SceneError(InvoptError, ValueError):
    """A scene, a target picture or a declared parameter that does not fit; the message says which and why."""


class UnknownNameError(InvoptError, ValueError):
    """A name that is not registered; the message lists near ones."""


def suggest(name: str, known: Iterable[str]) -> str:
    """Sentence listing the names nearest to `name`, or the first ones of all if none is near."""
    known = sorted(known)
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(repr(k) for k in near)}?"
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return f"known: {', '.join(known[:_SHOWN])}{more}"
