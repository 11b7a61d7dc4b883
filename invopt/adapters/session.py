"""Session: the loop as ask and tell, for users who own theirs."""

from __future__ import annotations

import threading
import weakref
from types import TracebackType
from typing import Any, Self, overload

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from invopt.adapters.asked_objective import AskedObjective, Request
from invopt.adapters.session_answers import as_answer, as_answers
from invopt.adapters.told import as_told
from invopt.core.machine.asking_thread import AskingThread
from invopt.core.machine.threads import one_thread
from invopt.core.objective import Capability
from invopt.core.problem import has_weights
from invopt.core.registry import find
from invopt.core.result import OptimizeResult, Status
from invopt.core.validators import as_flag, as_integer
from invopt.exceptions import IdentityError, IncompatibleError
from invopt.run.arguments.options import Options
from invopt.run.loop import Loop
from invopt.run.prepare import prepare
from invopt.run.run import Run

__all__ = ["Session"]

_ALL: Any = object()
# Evaluations that an owner is not asked for.
_DERIVED = Capability.JAC | Capability.HESS | Capability.SIDES


class Session:
    """Run whose caller evaluates the points.

    The caller asks with ``ask``, evaluates, and answers with ``tell``, until ``done``. Apart from that it is the same
    run as of `minimize`.

    Parameters
    ----------
    problem : Problem, str or None
        What is minimised; its own objective is never opened. None if `x0` is description enough.
    estimator, method, **options
        As in `minimize`; `workers` and `timeout` are refused, because the owner evaluates, and so are estimators that
        need derivatives. An evaluation that failed is told as nan, whatever `failures` says.
    residuals : bool, optional
        Without a problem: whether the owner hands in residuals; by default values.

    Notes
    -----
    Answers may be told all at once or one by one, in any order and from several threads. The run continues when all
    points of a request are answered. With a `journal`, every answer is kept as soon as it is told.

    Examples
    --------
    >>> import invopt
    >>> with invopt.Session(x0=[2.0, 1.0], rng=0, maxfev=400) as session:
    ...     while not session.done:
    ...         request = session.ask()
    ...         session.tell((request.x**2).sum(axis=1))
    >>> bool(abs(session.result.x).max() < 1e-2)
    True

    Residuals, one point at a time:

    >>> with invopt.Session(x0=[2.0, 1.0], residuals=True, rng=0, maxfev=40) as session:
    ...     while not session.done:
    ...         request = session.ask()
    ...         for number, x in zip(request.ids[::-1], request.x[::-1]):
    ...             session.tell(number, x - [0.5, 0.25])
    >>> session.result.x.round(3).tolist()
    [0.5, 0.25]
    """

    def __init__(
        self,
        problem: Any = None,
        estimator: Any = None,
        method: Any = None,
        *,
        residuals: bool | None = None,
        **options: Any,
    ) -> None:
        for name in ("workers", "timeout"):
            if options.pop(name, None) is not None:
                raise TypeError(f"{name!r} has no effect in a Session: its owner evaluates, in parallel or not")
        options.setdefault("progress", False)
        given = Options(estimator=estimator, method=method, **options)
        if problem is None:
            problem = _undescribed(given, residuals)
        elif residuals is not None:
            raise TypeError(
                "'residuals' is for a Session without a problem: a problem has its own, Function(residuals=True)"
            )
        run = prepare(as_told(problem), given)
        _check_asked(run)
        self._lock = threading.RLock()
        # The points that the run waits for, the answers so far, and the points that are not answered yet.
        self._asked: Request | None = None
        self._answers: dict[int, NDArray[np.float64] | None] = {}
        self._request: Request | None = None
        self._m: int | None = None
        # The thread must not refer to the session, or an abandoned session would never be collected.
        loops: list[Loop] = []
        self._thread = AskingThread(lambda ask: _run(loops[0]))
        self._loop = Loop(run=run, objective=AskedObjective(self._thread))
        loops.append(self._loop)
        self._finalizer = weakref.finalize(self, self._thread.close)
        self._advance(None)

    def _advance(self, values: Tensor | None) -> None:
        self._asked = self._request = None
        self._answers.clear()
        self._asked = asked = self._thread.send(values)
        # A copy, because the owner may change its arrays.
        self._request = asked and asked._replace(x=asked.x.copy(), seed=asked.seed.copy(), ids=asked.ids.copy())

    @property
    def done(self) -> bool:
        """Whether the run has ended; then `result` is final."""
        return self._thread.done

    @property
    def result(self) -> OptimizeResult:
        """The result, or before the end the result so far."""
        return self._loop.result()

    def ask(self) -> Request:
        """Return the unanswered points.

        They are the same ones until one is answered.
        """
        request = self._request
        if request is None:
            raise RuntimeError(f"the session has ended: {self.result.message}")
        return request

    @overload
    def tell(self, values: ArrayLike, /) -> None: ...

    @overload
    def tell(self, number: int | np.integer[Any], value: ArrayLike | None, /) -> None: ...

    def tell(self, values: Any, value: Any = _ALL, /) -> None:
        """Answer a request.

        ``tell(values)`` answers all points of `ask`, ``tell(id, value)`` one.

        Parameters
        ----------
        values : array_like, shape (k,) or (k, m)
            Values, or residuals if `Request.kind` says so; nan, or None in a list, for a failed evaluation.
        id : int
            One of `Request.ids`.
        value : float, array_like of shape (m,), or None
            Its value or residuals.

        Raises
        ------
        TypeError, ValueError
            For an id that is not waited for, and for invalid answers. They have no effect, and the session continues.
        RuntimeError
            If the session has ended.
        """
        self._refuse_callbacks()
        with self._lock:
            if value is not _ALL:
                number = self._number(values)
                self._take({number: as_answer("value", value, residuals=self._residuals, m=self._m)})
                return
            residuals, waiting = self._residuals, self._waiting
            found = as_answers(values, len(waiting), residuals=residuals, m=self._m)
            self._take(dict(zip(waiting, found, strict=True)))

    @property
    def _residuals(self) -> bool:
        return self.ask().kind == "residuals"

    def _refuse_callbacks(self) -> None:
        if self._thread.inside:
            raise RuntimeError(
                "a callback cannot answer or close the session that calls it: raise StopIteration to end the run"
            )

    @property
    def _waiting(self) -> list[int]:
        """Ids of the points that are not answered yet."""
        asked = [] if self._asked is None else self._asked.ids.tolist()
        return [number for number in asked if number not in self._answers]

    def _number(self, given: Any) -> int:
        """Return an id that is waited for, or raise."""
        number = as_integer("id", given)
        waiting = self._waiting
        if number not in waiting:
            why = "was answered before" if 0 <= number < self._objective.asked else "was never asked for"
            ended = f"the session has ended: {self.result.message}" if self.done else f"waiting: {waiting}"
            raise ValueError(f"'id' must be one that is waited for: {number} {why}; {ended}")
        return number

    def _take(self, answers: dict[int, NDArray[np.float64] | None]) -> None:
        """Store answers; the run continues when none is missing."""
        asked = self._asked
        assert asked is not None
        for number, answer in answers.items():
            if answer is not None:
                self._objective.told(number, torch.from_numpy(answer))
        self._answers |= answers
        self._m = next((row.size for row in answers.values() if self._residuals and row is not None), self._m)
        left = [i for i, number in enumerate(asked.ids.tolist()) if number not in self._answers]
        if left:
            self._request = asked._replace(x=asked.x[left], seed=asked.seed[left], ids=asked.ids[left])
        else:
            self._advance(self._joined(asked))

    def _joined(self, asked: Request) -> Tensor:
        """Return all answers to a request, in its order; nan for a failed evaluation."""
        shape = (self._m or 1,) if asked.kind == "residuals" else ()
        failed = np.full(shape, np.nan)
        rows = [self._answers[number] for number in asked.ids.tolist()]
        return torch.from_numpy(np.stack([failed if row is None else row for row in rows]))

    @property
    def _objective(self) -> AskedObjective:
        objective = self._loop.objective
        assert isinstance(objective, AskedObjective)
        return objective

    def close(self) -> None:
        """End the run; has no effect if it has ended."""
        self._refuse_callbacks()
        with self._lock:
            if not self.done:
                self._loop.standing.status = Status.CLOSED
                self._finalizer()
            self._asked = self._request = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _run(loop: Loop) -> OptimizeResult:
    problem = loop.run.problem
    # Only while the loop works: the owner's code, between ask and tell, has its own number of threads.
    with one_thread(renders=False, weights=has_weights(problem)):
        return loop.run_to_end()


def _undescribed(options: Options, residuals: bool | None) -> Any:
    """Return a problem that has only a start.

    `residuals` says whether the owner tells residuals.
    """
    if options.x0 is None:
        raise TypeError("'x0' is needed where 'problem' is None: Session(x0=[...])")
    kept = next((name for name in ("journal", "checkpoint") if getattr(options, name) is not None), None)
    if kept is not None and options.identity is None:
        raise IdentityError(
            f"a Session without a problem cannot be identified in its {kept!r}: give identity='...', a name that "
            f"you change whenever what you evaluate changes"
        )
    given = residuals is not None and as_flag("residuals", residuals)
    return find("problems", "function")(fun=_never, x0=options.x0, residuals=given)


def _check_asked(run: Run) -> None:
    """Refuse a prior, and estimators that need more than values or residuals."""
    if run.problem.prior is not None:
        raise IncompatibleError(
            "'prior' has no effect in a Session, whose owner evaluates: add its negative log density to the values, or "
            "its rows to the residuals, that you tell; or use minimize"
        )
    if run.problem.constraints is not None:
        raise IncompatibleError("'constraints' are not supported in a Session; use minimize")
    if needed := run.estimator.needs & _DERIVED:
        raise IncompatibleError(
            f"a Session asks its owner for values or residuals only, and {type(run.estimator).__name__} needs "
            f"{needed.name}: choose another estimator, such as 'shared-samples' or 'finite-difference', or use minimize"
        )


def _never(x: NDArray[np.float64]) -> float:
    raise TypeError("the owner of a session evaluates its points")
