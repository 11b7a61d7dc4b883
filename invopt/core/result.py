"""What a run returns: OptimizeResult, its Status and its History."""

from __future__ import annotations

import copy
import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import cloudpickle
import numpy as np
import scipy.optimize
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["History", "OptimizeResult", "Status"]


class Status(enum.Enum):
    """Why a run ended; the value is the message."""

    RUNNING = "not finished"
    CONVERGED = "gradient norm, plus two standard errors, fell below `gtol`"
    XTOL = "the step fell below `xtol`"
    FTOL = "the change of `fun` fell below `ftol`"
    NOISE_FLOOR = "as precise as the noise allows: `x_standard_error` says how precise"
    FINISHED = "the method ended by its own rule"
    MISMATCH = (
        "the minimum is precise, but the residuals stay far above the noise: another minimum may exist, or the model "
        "cannot match the target: try other starts, or check the target"
    )
    UNSURE = "the method ended by a rule that the values do not bear out: compare `jac` with `standard_error`"
    LIMIT = "the method reached a limit of its own: see its options"
    CLOSED = "the session was closed before its end"
    MAXITER = "iteration budget spent: raise `maxiter`"
    MAXFEV = "evaluation budget spent: raise `maxfev`"
    MAXTIME = "time budget spent: raise `maxtime`"
    CALLBACK = "stopped by the callback"
    INTERRUPTED = "interrupted from the keyboard"
    PLATEAU = "no sample around x depends on it: raise `sigma` or start elsewhere"
    LINE_SEARCH = "the line search found no lower point: the gradient is too noisy or the minimum is reached"
    NONFINITE = "too many values were nan or infinite"
    ERROR = "the objective failed"

    @property
    def success(self) -> bool:
        """Whether the run ended because it had converged."""
        return self in {Status.CONVERGED, Status.XTOL, Status.FTOL, Status.NOISE_FLOOR, Status.FINISHED}


class History:
    """Record of a run, one row an iteration.

    Columns are ``x`` (nit, n), ``fun``, ``fun_standard_error``, ``smoothed`` (1 where `fun` is of the smoothed
    objective, else 0), ``step`` (length of the step that led here, in units of `x_scale`), ``sigma``, ``nfev``
    (cumulative), ``seconds`` (cumulative), ``standard_error`` (of jac, (nit, n)).
    Row 0 is the start. ``x`` and ``standard_error`` are kept up to n = 4096 only.
    """

    columns = ("x", "fun", "fun_standard_error", "smoothed", "step", "sigma", "nfev", "seconds", "standard_error")
    max_n = 4096

    def __init__(self) -> None:
        self._rows: dict[str, list[Any]] = {name: [] for name in self.columns}

    def append(self, **row: Any) -> None:
        """Add one row; columns left out are nan."""
        for name in self.columns:
            value = row.get(name, np.nan)
            if np.ndim(value) == 1 and np.size(value) > self.max_n:
                value = np.nan
            self._rows[name].append(value)

    @classmethod
    def from_columns(cls, columns: dict[str, NDArray[np.float64]]) -> History:
        """A history of columns as `columns_to` gives them."""
        history = cls()
        history._rows = {name: list(columns[name]) for name in cls.columns}
        return history

    def columns_to(self, rows: int) -> dict[str, NDArray[np.float64]]:
        """Columns of the first `rows` iterations."""
        return {name: np.array(values[:rows], dtype=np.float64) for name, values in self._rows.items()}

    def __len__(self) -> int:
        return len(self._rows["fun"])

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        return np.array(self._rows[name])

    def __getattr__(self, name: str) -> NDArray[np.float64]:
        if name in History.columns:
            return self[name]
        raise AttributeError(name)

    def __repr__(self) -> str:
        return f"History({len(self)} iterations; columns: {', '.join(self.columns)})"

    def to_dict(self) -> dict[str, list[Any]]:
        """Columns as lists of plain Python numbers, ready for JSON or a data frame."""
        return {name: self[name].tolist() for name in self.columns}

    def plot(self, ax: Axes | None = None) -> Axes:
        """Plot `fun` with a band of one standard error, against evaluations; returns the matplotlib axes."""
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots()
        fun, nfev = self["fun"], self["nfev"]
        error = np.nan_to_num(self["fun_standard_error"], nan=0.0, posinf=0.0)
        (line,) = ax.plot(nfev, fun, marker=".")
        ax.fill_between(nfev, fun - error, fun + error, alpha=0.25, color=line.get_color())
        if len(fun) > 0 and np.all(fun > 0):
            ax.set_yscale("log")
        ax.set(xlabel="evaluations", ylabel="fun")
        return ax


class Deferred:
    """An entry of a result that is worked out when it is first asked for: a network's weights take a while to copy."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __call__(self) -> Any:
        return self._make()


# Entries that may hold functions of the user's. They are frozen: copies share them.
_PARTS = ("problem", "estimator", "method")


class OptimizeResult(scipy.optimize.OptimizeResult):
    """scipy's result with a `Status`, a `History` and error bars.

    It can be pickled with the functions that its problem holds, lambdas and those of scripts and notebooks too, and
    copied; copies share `problem`, `estimator` and `method`.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The answer: the last point, unless the start, or another point that an estimate or an evaluation found, is
        lower by more than the noise, measured under the same seeds. Of the weights of a network, the last point; in a
        callback too, unless an earlier estimate was lower by more than two standard errors.
    parameters : dict
        The answer by name, in the units people think in; see `Problem.parameters`.
    fun : float
        Value measured at `x`. Of the weights of a network, and in a callback: as the estimator reports it.
    fun_standard_error : float
        Its standard error; 0 if deterministic, inf if unknown.
    jac, standard_error : ndarray, shape (n,), or None
        Gradient at `x` and the standard error of each component; None where `x` has no estimate.
    x_standard_error : ndarray, shape (n,), or None
        Error bar of each parameter, in its own units, where the estimator can tell.
    x_last, x_best : ndarray, shape (n,)
        The last point, and the one with the lowest estimate; `fun_last` and `fun_best` are these estimates, of the
        smoothed objective where the estimator smooths.
    success : bool
        Whether the run converged, and the values measured for the answer bear it out.
    status : Status
        Why it ended; `message` says it in words.
    nfev, nit, n_nonfinite, n_replayed : int
        Evaluations, iterations, evaluations that were not finite, and those that were in the journal.
    seconds : float
        Wall time.
    history : History
        One row an iteration.
    problem, estimator, method : object
        What was run.
    choice : str
        What was chosen where nothing was asked for, and why; else empty.
    """

    def __init__(self, **attributes: Any) -> None:
        super().__init__()
        self.update(attributes)

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        if isinstance(value, Deferred):
            value = self[name] = value()
        return value

    def resolve(self) -> OptimizeResult:
        """Work out what is deferred; returns itself."""
        for name in self:
            self[name]
        return self

    def __repr__(self) -> str:
        self.resolve()
        return super().__repr__()

    def __reduce__(self) -> tuple[Any, ...]:
        entries = dict(self.resolve())
        parts = {name: _packed(name, entries.pop(name)) for name in _PARTS if name in entries}
        return _unpacked, (type(self), list(self), entries, parts)

    def __copy__(self) -> Self:
        return type(self)(**self.resolve())

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        shared = {id(value): value for name, value in self.resolve().items() if name in _PARTS}
        return type(self)(**{name: copy.deepcopy(value, memo | shared) for name, value in self.items()})


def _packed(name: str, part: Any) -> bytes:
    try:
        packed: bytes = cloudpickle.dumps(part)
    except Exception as error:
        raise TypeError(
            f"'{name}' of this result cannot be pickled ({type(error).__name__}: {error}): leave it out, "
            f"del result['{name}'], before the result is stored or sent"
        ) from error
    return packed


def _unpacked(cls: type[Any], order: list[str], entries: dict[str, Any], parts: dict[str, bytes]) -> Any:
    found = entries | {name: cloudpickle.loads(part) for name, part in parts.items()}
    return cls(**{name: found[name] for name in order})
