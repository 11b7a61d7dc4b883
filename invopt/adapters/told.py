"""Told: a problem whose values somebody else tells."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from invopt.core.objective import Capability, Objective
from invopt.core.problem import Problem
from invopt.core.registry import resolve
from invopt.core.wrapping.problem_of import ProblemOf

__all__ = ["as_told"]


@frozen(kw_only=True, eq=False)
class Told(ProblemOf):
    """Problem whose residuals are told, without their Jacobian by what shades."""

    @property
    def provides(self) -> Capability:  # type: ignore[override]
        """What the problem provides, without SHADING."""
        return self.problem.provides & ~Capability.SHADING

    def identity_content(self) -> dict[str, Any]:
        """Content of the problem."""
        return self.problem.identity_content()

    def open(self) -> Objective:
        """Open the problem's objective."""
        return self.problem.open()


def as_told(problem: Any) -> Any:
    """Return what a session asks for, without what cannot be told."""
    found = resolve("problems", problem, "problem") if isinstance(problem, str) else problem
    if isinstance(found, Problem) and Capability.SHADING in found.provides:
        return Told(problem=found)
    return found
