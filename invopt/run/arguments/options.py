"""Options: the arguments of `minimize` other than the problem."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from attrs import Attribute, field, frozen
from attrs.validators import optional
from numpy.typing import ArrayLike
from scipy.optimize import Bounds

from invopt.core.constraints.reading import as_constraints
from invopt.core.estimator import Estimator
from invopt.core.formatting import shown
from invopt.core.optimizer import Optimizer
from invopt.core.validators import as_flag, as_integer, as_list, as_real, real, require
from invopt.evaluate.failures import Failures
from invopt.evaluate.workers.open import Workers, as_timeout, as_workers
from invopt.exceptions import IncompatibleError
from invopt.journal import Journal
from invopt.run.arguments.scipy_habits import are_numbers
from invopt.snapshots import Checkpoint

__all__ = ["Options"]


def _budget(item: Any, attribute: Attribute[Any], value: Any) -> None:
    """Field must be a whole number of at least 1, or inf; it is kept as a float."""
    name, unlimited = attribute.name, isinstance(value, float) and value == math.inf
    number = math.inf if unlimited else as_real(name, as_integer(name, value))
    require(name, number >= 1, ">= 1", value)
    object.__setattr__(item, name, number)


def _seconds(item: Any, attribute: Attribute[Any], value: Any) -> None:
    """Field must be a number above 0, inf included; it is kept as a float."""
    number = as_real(attribute.name, value)
    require(attribute.name, number > 0, "> 0", value)
    object.__setattr__(item, attribute.name, number)


def _progress(_: Any, attribute: Attribute[Any], value: Any) -> None:
    if isinstance(value, str) and value != "live":
        raise TypeError(f"'{attribute.name}' must be a bool or 'live': {shown(value)}")
    if not isinstance(value, str):
        as_flag(attribute.name, value)


def _listed(bounds: Any) -> Any:
    """Bounds from an iterator as a list; anything else as it is.

    An iterator can be read only once.
    """
    return as_list("bounds", bounds) if isinstance(bounds, Iterator) else bounds


@frozen(kw_only=True, eq=False)
class Options:
    """Arguments of `minimize` other than the problem.

    Every way to start a run passes them on. `minimize` documents each of them. Most checks that do not need the problem
    happen at construction; the others before the first evaluation.
    """

    estimator: Estimator | str | None = field(default=None)
    method: Optimizer | str | None = None
    x0: ArrayLike | None = None
    args: Any = ()
    jac: Callable[..., Any] | bool | None = None
    hess: Callable[..., Any] | None = None
    hessp: None = field(default=None)
    bounds: Bounds | Iterable[tuple[float | None, float | None]] | None = field(default=None, converter=_listed)
    constraints: tuple[Any, ...] = field(default=(), converter=as_constraints)
    x_scale: ArrayLike | None = None
    prior: Any = None
    rng: np.random.Generator | int | None = None
    maxiter: float | None = field(default=None, validator=optional(_budget))
    maxfev: float | None = field(default=None, validator=optional(_budget))
    maxtime: float | None = field(default=None, validator=optional(_seconds))
    tol: float | None = field(default=None, validator=optional(real(minimum=0)))
    gtol: float | None = field(default=None, validator=optional(real(minimum=0)))
    xtol: float | None = field(default=None, validator=optional(real(minimum=0)))
    ftol: float | None = field(default=None, validator=optional(real(minimum=0)))
    max_nonfinite: float = field(default=0.5, validator=real(minimum=0, below=1))
    failures: Failures = "raise"
    timeout: float | None = field(default=None)
    callback: Callable[..., object] | None = None
    options: Mapping[str, Any] | None = None
    workers: Workers = field(default=None, converter=as_workers)
    progress: bool | str | None = field(default=None, validator=optional(_progress))
    journal: Journal | str | Path | None = field(default=None)
    checkpoint: Checkpoint | str | Path | None = None
    identity: str | None = field(default=None)

    @estimator.validator
    def _check_estimator(self, _: Attribute[Any], value: Any) -> None:
        if are_numbers(value):
            raise TypeError(
                f"'estimator' must be a name or an instance of Estimator; a start is x0=...: {shown(value)}"
            )

    @hessp.validator
    def _check_hessp(self, _: Attribute[Any], value: Any) -> None:
        if value is not None:
            raise IncompatibleError(
                "'hessp' is not supported: give the whole Hessian as 'hess', or leave it out, because estimators and "
                "methods compute products of their own"
            )

    @timeout.validator
    def _check_timeout(self, _: Attribute[Any], value: Any) -> None:
        as_timeout(value, self.workers)

    @journal.validator
    def _check_journal(self, _: Attribute[Any], value: Any) -> None:
        if value is not None and self.checkpoint is not None:
            raise ValueError("give 'journal' or 'checkpoint', not both: a run is kept in one file")

    @identity.validator
    def _check_identity(self, _: Attribute[Any], value: Any) -> None:
        if value is not None and (not isinstance(value, str) or not value):
            raise TypeError(f"'identity' must be a text that is not empty: {shown(value)}")
