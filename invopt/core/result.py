"""OptimizeResult: the result of a run, with its Status and History."""

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
    NOISE_FLOOR = "as precise as the noise allows: `x_standard_error` is the standard error of each parameter"
    FINISHED = "the method ended by its own stopping rule"
    MISMATCH = (
        "the minimum is precise, but the residuals stay far above the noise: another minimum may exist, or the model "
        "cannot match the target: try other starts, or check the target"
    )
    UNSURE = "a stopping rule was met, but measured values do not confirm it: compare `jac` with `standard_error`"
    LIMIT = "the method reached its own limit of iterations or evaluations: see its options"
    CLOSED = "the session was closed before the run had ended"
    MAXITER = "iteration budget spent: raise `maxiter`"
    MAXFEV = "evaluation budget spent: raise `maxfev`"
    MAXTIME = "time budget spent: raise `maxtime`"
    CALLBACK = "stopped by the callback"
    INTERRUPTED = "interrupted from the keyboard"
    PLATEAU = "plateau: the samples around x do not differ; raise `sigma` or start elsewhere"
    LINE_SEARCH = "the line search found no lower point: the gradient is too noisy or the minimum is reached"
    INFEASIBLE = "no point was found at which all constraints hold: `maxcv` is the violation; start elsewhere"
    NONFINITE = "too many values were nan or infinite"
    ERROR = "the objective failed"

    @property
    def success(self) -> bool:
        """Whether the run ended because it converged."""
        return self in {Status.CONVERGED, Status.XTOL, Status.FTOL, Status.NOISE_FLOOR, Status.FINISHED}


class History:
    """Record of a run, one row for each iteration.

    Columns are ``x`` (nit, n), ``fun``, ``fun_standard_error``, ``smoothed`` (1 where `fun` is of the smoothed
    objective, else 0), ``step`` (length of the step that led here, in units of `x_scale`), ``sigma``, ``nfev``
    (cumulative), ``seconds`` (cumulative), ``standard_error`` (of jac, (nit, n)).
    Row 0 is the start. ``x`` and ``standard_error`` are kept for n <= 4096 only.
    """

    columns = ("x", "fun", "fun_standard_error", "smoothed", "step", "sigma", "nfev", "seconds", "standard_error")
    # 32 KiB a row: a thousand iterations take 32 MiB for each of the two columns.
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
        """Make a history of columns as `columns_to` returns them."""
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
        """Plot `fun` with a band of one standard error against evaluations.

        Returns the matplotlib axes.
        """
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
    """Entry of a result that is computed when it is first read.

    Copying a network's weights takes long.
    """

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __call__(self) -> Any:
        return self._make()


# Entries that may hold the user's functions. They are frozen, so copies of a result share them.
_PARTS = ("problem", "estimator", "method")


class OptimizeResult(scipy.optimize.OptimizeResult):
    """scipy's result with a `Status`, a `History` and standard errors.

    It can be pickled together with the functions of its problem, also lambdas and functions of scripts and notebooks.
    Copies share `problem`, `estimator` and `method`.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The answer: the last point, unless the start or another point that an estimate or an evaluation found is lower
        by more than the noise, measured under the same seeds. For the weights of a network, the last point; so too in
        a callback, unless an earlier estimate was lower by more than two standard errors.
    parameters : dict
        The answer by name, in customary units; see `Problem.parameters`.
    parameter_errors : dict or None
        Standard errors of `parameters`, by the same names; None where `x_standard_error` is.
    fun : float
        Value measured at `x`; for the weights of a network and in a callback, the estimator's value.
    fun_prior : float
        Share of `fun` that a prior adds at `x`; 0 without a prior, nan if it was added where evaluations happen.
    fun_standard_error : float
        Its standard error; 0 if deterministic, inf if unknown.
    jac, standard_error : ndarray, shape (n,), or None
        Gradient at `x` and the standard error of each component; None where `x` has no estimate.
    x_standard_error : ndarray, shape (n,), or None
        Standard error of each parameter, in its own units; None if the estimator does not compute it. With a prior
        or known noise, the standard deviation of the posterior.
    covariance : ndarray, shape (n, n), or None
        Covariance of the errors of the parameters, in their own units, with the squares of `x_standard_error` on its
        diagonal; 0 for parameters that bounds fix. At the noise of residuals, correlations come from eight evaluations,
        and are shrunk towards 0 by as much as that leaves uncertain. At that of values, it is of a quadratic through
        the last evaluations.
    constr, maxcv : ndarray of shape (p,), float
        With constraints: their values at `x`, linear ones last, and the largest violation.
    identifiability : Identifiability or None
        With `optimizers.Separable`: share of the effect of each parameter that moves which no shading can imitate, and
        the worst direction; attributes `names`, `share`, `worst`, `direction`, `unseen`.
    x_last, x_best : ndarray, shape (n,)
        The last point and the one with the lowest estimate; `fun_last` and `fun_best` are their estimates, of the
        smoothed objective if the estimator smooths.
    success : bool
        Whether the run converged, and the values measured for the answer confirm it.
    status : Status
        Why the run ended; `message` is its text.
    nfev, nit, n_nonfinite, n_replayed : int
        Evaluations, iterations, evaluations that were not finite, and evaluations read from the journal.
    seconds : float
        Wall time.
    history : History
        One row for each iteration.
    energy, energy_standard_error, energy_rhs, energy_rhs_standard_error : float
        Only of radiance fields: the energy of the field's pictures, and of its right side's, as multiples of the
        truth's; see `NeuralRadiosity`.
    problem, estimator, method : object
        Parts of the run.
    choice : str
        Parts that were chosen by default, and why; empty if both were given.
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
        """Compute all deferred entries; returns the result itself."""
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
