"""Errors and warnings: one root, each with a builtin parent."""

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


# Names that a message lists, about two lines; a scene may have thousands.
_MOST_NAMES = 12
# Names that are suggested, and the least similarity to one (difflib's defaults are 3 and 0.6; 0.5 finds "fd" for "df").
_NEAREST, _SIMILARITY = 3, 0.5


class InvoptError(Exception):
    """Root of all errors raised by invopt.

    Attributes
    ----------
    result : OptimizeResult or None
        Result of the run up to the error; None if the run had not started.
    """

    # Untyped, because the module of OptimizeResult is on a higher floor.
    result: Any = None


class IncompatibleError(InvoptError, TypeError):
    """Problem, estimator and method do not fit together.

    Raised before the first evaluation.
    """


class EvaluationError(InvoptError, RuntimeError):
    """The objective failed, or a worker was lost.

    The objective raised an error, took too long or returned a wrong shape.
    """


class WrongValueError(EvaluationError):
    """The objective returned a wrong shape or type.

    Unlike an exception, this never counts as a failed evaluation.
    """


class EvaluationTimeoutError(EvaluationError, TimeoutError):
    """An evaluation took longer than `timeout`."""


class NonFiniteError(InvoptError, FloatingPointError):
    """Too large a share of the objective's values was nan or infinite."""


class BackendError(InvoptError, RuntimeError):
    """The renderer backend that was asked for, or any, cannot be used on this machine."""


class CheckpointError(InvoptError, ValueError):
    """A checkpoint cannot be written or read, or belongs to another run.

    The message names the difference.
    """


class JournalError(InvoptError, ValueError):
    """A file is not a usable journal, or a run cannot be kept in it.

    The file is not a journal, or is newer, damaged or locked.
    """


class JournalWarning(UserWarning):
    """A journal or a checkpoint could not be written completely.

    The result is not affected.
    """


class IdentityError(InvoptError, TypeError):
    """A part of a run that is kept in a file cannot be identified by its content.

    The message names the part.
    """


class EntryPointError(InvoptError, ImportError):
    """A part that another package registers cannot be used.

    The message names the package and the reason.
    """


class SceneError(InvoptError, ValueError):
    """A scene, a target picture or a declared parameter does not fit.

    The message says which and why.
    """


class UnknownNameError(InvoptError, ValueError):
    """A name is unknown; the message lists the nearest known names."""


def suggest(name: str, known: Iterable[str]) -> str:
    """Return a sentence with the names nearest to `name`.

    If none is near, the sentence has the first of all names.
    """
    known = sorted(known)
    near = difflib.get_close_matches(name.lower(), known, n=_NEAREST, cutoff=_SIMILARITY)
    if near:
        return f"did you mean {' or '.join(repr(k) for k in near)}?"
    more = f" and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
    return f"known: {', '.join(known[:_MOST_NAMES])}{more}"
