"""Check that a problem, an estimator and a method fit together."""

from __future__ import annotations

from invopt.core.estimator import Estimator
from invopt.core.objective import Capability
from invopt.core.optimizer import Optimizer
from invopt.core.problem import Problem
from invopt.core.registry import names
from invopt.exceptions import IncompatibleError

__all__ = ["check_pairing"]


def check_pairing(problem: Problem, estimator: Estimator, method: Optimizer) -> None:
    """Raise `IncompatibleError` unless the parts fit together.

    Called before the first evaluation.
    """
    if missing := estimator.needs & ~problem.provides:
        why = problem.why_not(missing)
        raise IncompatibleError(
            f"{type(estimator).__name__} needs {missing.name}, but {type(problem).__name__} provides "
            f"{problem.provides.name}{why and ': '}{why}"
        )
    if why := estimator.why_not(problem):
        raise IncompatibleError(f"{type(estimator).__name__} cannot be used for {type(problem).__name__}: {why}")
    if Capability.SIDES in problem.provides & ~estimator.needs:
        # What some classes need depends on the instance.
        known = [cls for cls in names("estimators").values() if isinstance(cls.needs, Capability)]
        fit = ", ".join(sorted({cls.__name__ for cls in known if Capability.SIDES in cls.needs}))
        raise IncompatibleError(
            f"{type(estimator).__name__} samples values around x, but x holds the {problem.n} weights of "
            f"{type(problem).__name__}, which are trained by its equation: use one of {fit}"
        )
    if problem.constraints is not None and not method.constrains:
        raise IncompatibleError(
            f"{type(method).__name__} does not support 'constraints': leave out the method, or use Scipy('cobyqa'), "
            f"Scipy('cobyla') or Scipy('slsqp', differences=True)"
        )
    if method.eliminates:
        _check_elimination(problem, method)
    provided = estimator.provided(problem)
    if missing_order := method.requires & ~provided:
        raise IncompatibleError(
            f"{type(method).__name__} needs {missing_order.name}, but {type(estimator).__name__} provides "
            f"{provided.name}{'' if provided == estimator.provides else f' for this {type(problem).__name__}'}"
        )


def _check_elimination(problem: Problem, method: Optimizer) -> None:
    """Raise unless some parameters only shade and others move."""
    name, kind = type(method).__name__, type(problem).__name__
    if missing := (Capability.SHADING | Capability.RESIDUALS) & ~problem.provides:
        why = problem.why_not(missing)
        raise IncompatibleError(f"{name} needs {missing.name}, but {kind} does not provide it{why and ': '}{why}")
    shades = problem.shades
    if not shades.any():
        refused = "; ".join(getattr(problem, "refused", {}).values())
        raise IncompatibleError(
            f"{name} needs parameters that only shade, and {kind} has none{refused and ': '}{refused}"
        )
    if shades.all():
        raise IncompatibleError(f"{name} needs parameters that move, and all of {kind} shade: use SparseGaussNewton")
