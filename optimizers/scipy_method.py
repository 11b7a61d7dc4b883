"""Scipy: any method of scipy.optimize.minimize, on estimates."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import scipy.optimize
import torch
from attrs import field, frozen, validators
from numpy.typing import NDArray
from torch import Tensor

from invopt.exceptions import UnknownNameError, suggest
from invopt.plugin import AskingThread, Estimate, Oracle, Order, Status, boolean, real, shown

from .descent.steps import gradient
from .external.constraints import constraints_of
from .external.external_method import ExternalMethod, ExternalRun
from .external.options import check_options

__all__ = ["Scipy"]

_FUN, _JAC = Order.FUN, Order.JAC
_REQUIRES = {
    "nelder-mead": _FUN,
    "powell": _FUN,
    "cobyla": _FUN,
    "cobyqa": _FUN,
    "cg": _JAC,
    "bfgs": _JAC,
    "l-bfgs-b": _JAC,
    "tnc": _JAC,
    "slsqp": _JAC,
    "newton-cg": _JAC | Order.HESSP,
    "trust-ncg": _JAC | Order.HESSP,
    "trust-krylov": _JAC | Order.HESSP,
    "trust-constr": _JAC | Order.HESSP,
    "dogleg": _JAC | Order.HESS,
    "trust-exact": _JAC | Order.HESS,
}
_BOUNDED = {"nelder-mead", "powell", "cobyla", "cobyqa", "l-bfgs-b", "tnc", "slsqp", "trust-constr"}
_CONSTRAINED = {"cobyla", "cobyqa", "slsqp"}
# scipy's status codes, which differ by method, for a line search without a lower point ...
_NO_LOWER_POINT = {"cg": 2, "bfgs": 2, "newton-cg": 2, "l-bfgs-b": 2, "tnc": 4, "slsqp": 8}
# ... and for values that are not finite.
_NOT_A_NUMBER = {"cg": 3, "bfgs": 3, "newton-cg": 3}
# Number of estimates kept: a trust-region method returns to an earlier point after rejected steps.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 8 and 32.
_KEPT_ESTIMATES = 16
# Distance, in units of `x_scale`, up to which a point is answered within the iteration: some methods (tnc) evaluate
# points next to x, and a step that short would look like convergence.
# Measured (tests/benchmarks/constants.py): no influence within 2 % with 1e-08 and 0.0001.
_NEARBY = 1e-6

Array = NDArray[np.float64]


class _Product(NamedTuple):
    """Request for the Hessian of an estimate, times p unless p is None."""

    estimate: Estimate
    p: Array | None


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"'name' must be a string: {shown(value)}")
    if value.lower() not in _REQUIRES:
        near = suggest(value, _REQUIRES)
        raise UnknownNameError(f"'name': unknown method of scipy.optimize.minimize {shown(value)}; {near}")
    return value.lower()


def _options(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise TypeError(f"'options' must map names to values: {shown(value)}")
    return dict(value)


@frozen
class Scipy(ExternalMethod):
    """A method of `scipy.optimize.minimize`, run on estimates.

    Each point that scipy evaluates is an iteration of the loop; one estimate there gives value, gradient, Hessian and
    products.

    Parameters
    ----------
    name : str
        Method: ``"nelder-mead"``, ``"powell"``, ``"cobyla"``, ``"cobyqa"`` need values only; ``"cg"``, ``"bfgs"``,
        ``"l-bfgs-b"``, ``"tnc"``, ``"slsqp"`` gradients; ``"newton-cg"``, ``"trust-ncg"``, ``"trust-krylov"``,
        ``"trust-constr"`` products as well; ``"dogleg"``, ``"trust-exact"`` Hessians.
    options : dict, optional
        The method's own options. Their tolerances and limits apply in addition to those of the run.
    tol : float, optional
        scipy's `tol`, which sets those tolerances of the method that are not in `options`.
    differences : bool, default False
        Let scipy use differences of values, as it does without a gradient; only for methods that need gradients and no
        products. The method then requires values only.

    Attributes
    ----------
    requires : Order
        What the method needs of the estimator.

    Raises
    ------
    UnknownNameError
        If there is no such method, or no such option (a ``ValueError``).

    Notes
    -----
    "cobyqa", "cobyla", and "slsqp" with `differences`, support constraints other than bounds.

    Bounds are passed on to the methods that support them; for the others the loop projects. scipy's methods assume
    exact values: with noise their line searches fail early, which ends the run with LINE_SEARCH. scipy runs in a thread
    of its own, which runs only while everything else waits, and ends with the run. Its state cannot be stored, so that
    such runs have no checkpoints. If scipy's answer is not the last point evaluated, it is evaluated once more.

    References
    ----------
    .. [1] Virtanen et al., "SciPy 1.0", Nature Methods 17, 2020.

    Examples
    --------
    >>> Scipy("bfgs", options={"gtol": 1e-4}).requires
    <Order.JAC: 2>
    """

    stands_for: ClassVar[tuple[str, ...]] = tuple(_REQUIRES)

    name: str = field(converter=_name)
    options: dict[str, Any] = field(default=None, converter=_options)
    tol: float | None = field(default=None, validator=validators.optional(real(minimum=0)), kw_only=True)
    differences: bool = field(default=False, validator=boolean)

    def __attrs_post_init__(self) -> None:
        if self.differences and _REQUIRES[self.name] is not _JAC:
            raise ValueError(f"'differences' are for methods that need gradients alone, not {shown(self.name)}")
        if self.options:
            check_options(self.name, self.options)

    @property
    def requires(self) -> Order:  # type: ignore[override]
        """What the method needs of the estimator."""
        return _FUN if self.differences else _REQUIRES[self.name]

    @property
    def constrains(self) -> bool:  # type: ignore[override]
        """Whether the method supports constraints, by values only."""
        return self.name in _CONSTRAINED and self.requires is _FUN

    @property
    def calls_back_with_state(self) -> bool:  # type: ignore[override]
        """Whether a callback may be ``callback(xk, state)``."""
        return self.name == "trust-constr"

    def step(self, x: Tensor, estimate: Estimate, state: Any, oracle: Oracle) -> tuple[Tensor, Any]:
        """Answer scipy until it asks for another point; costs the evaluations of products."""
        run: ExternalRun = state
        reply: Any = None
        if run.thread is None:
            run.thread = AskingThread(self._target(x, oracle))
        elif run.waiting:
            reply = estimate
        while True:
            try:
                request = self._send(run.thread, reply)
            except (np.linalg.LinAlgError, ArithmeticError):
                # Noise has made a matrix that scipy cannot factorise: the answer is the present point.
                run.verdict = Status.LINE_SEARCH
                return x, run
            if run.thread.done:
                run.verdict = self._verdict(run.thread.result)
                return oracle.project(torch.from_numpy(np.array(run.thread.result.x, dtype=np.float64))), run
            if isinstance(request, _Product):
                reply = _curvature(request)
                continue
            asked = oracle.project(torch.from_numpy(request))
            distance = float(torch.linalg.vector_norm(asked - x))
            if distance > _NEARBY:
                run.waiting = True
                return asked, run
            reply = estimate if distance == 0.0 else oracle.estimate(asked)

    def _target(self, x0: Tensor, oracle: Oracle) -> Callable[[Callable[[Any], Any]], Any]:
        bounds = _bounds(x0, oracle) if self.name in _BOUNDED else None
        start, limits, linear = x0.numpy().copy(), oracle.constraints, oracle.linear_constraints()

        def target(ask: Callable[[Any], Any]) -> Any:
            answers = _Answers(ask)
            arguments: dict[str, Any] = {"method": self.name, "options": dict(self.options)}
            if self.requires & _JAC:
                arguments["jac"] = answers.jac
            if self.requires & Order.HESS:
                arguments["hess"] = answers.hess
            if self.requires & Order.HESSP:
                arguments["hessp"] = answers.hessp
            if limits is not None:
                arguments["constraints"] = constraints_of(limits, linear, answers.constraints)
                if self.name == "cobyqa":
                    feasible = {"feasibility_tol": float(limits.tolerances.min())}
                    arguments["options"] = feasible | arguments["options"]
            return scipy.optimize.minimize(answers.fun, start, bounds=bounds, tol=self.tol, **arguments)

        return target

    def _send(self, thread: AskingThread, reply: Any) -> Any:
        # Only scipy runs inside this block, so that only its warnings are suppressed.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return thread.send(reply)
            except (TypeError, ValueError) as error:
                if isinstance(error, np.linalg.LinAlgError):
                    raise
                if reply is not None and isinstance(error, ValueError):
                    # Bad options are an error before the first request: this one is about numbers that are not finite.
                    raise np.linalg.LinAlgError(str(error)) from error
                raise ValueError(
                    f"scipy's {shown(self.name)} refused 'options' {shown(self.options)}: {error}"
                ) from error

    def _verdict(self, result: scipy.optimize.OptimizeResult) -> Status:
        if result.success:
            return Status.FINISHED
        if result.status == _NO_LOWER_POINT.get(self.name):
            return Status.LINE_SEARCH
        return Status.NONFINITE if result.status == _NOT_A_NUMBER.get(self.name) else Status.LIMIT


class _Answers:
    """Callables for scipy: one request for each new point."""

    def __init__(self, ask: Callable[[Any], Any]) -> None:
        self._ask = ask
        self._known: dict[bytes, Estimate] = {}

    def _estimate(self, x: Array) -> Estimate:
        key = x.tobytes()
        if key not in self._known:
            if len(self._known) >= _KEPT_ESTIMATES:
                self._known.pop(next(iter(self._known)))
            self._known[key] = self._ask(np.array(x, dtype=np.float64))
        return self._known[key]

    def fun(self, x: Array) -> float:
        estimate = self._estimate(x)
        return estimate.fun if estimate.constrained is None else float(estimate.constrained[0])

    def constraints(self, x: Array) -> Array:
        row = self._estimate(x).constrained
        assert row is not None
        return row[1:].numpy().copy()

    def jac(self, x: Array) -> Array:
        return gradient(self._estimate(x)).numpy().copy()

    def hess(self, x: Array) -> Array:
        curvature: Array = self._ask(_Product(self._estimate(x), None))
        return curvature

    def hessp(self, x: Array, p: Array) -> Array:
        product: Array = self._ask(_Product(self._estimate(x), np.array(p, dtype=np.float64)))
        return product


def _curvature(request: _Product) -> Array:
    """Compute curvature in the loop's thread, where evaluations may end the run."""
    if request.p is None:
        return request.estimate.hess.numpy().copy()
    return request.estimate.hessp(torch.from_numpy(request.p)).numpy().copy()


def _bounds(x: Tensor, oracle: Oracle) -> scipy.optimize.Bounds | None:
    """Bounds of the run, found by projecting points at infinity."""
    far = torch.full_like(x, torch.inf)
    low, high = oracle.project(-far).numpy().copy(), oracle.project(far).numpy().copy()
    return scipy.optimize.Bounds(low, high) if np.isfinite(low).any() or np.isfinite(high).any() else None
