"""Constraints other than bounds."""

from invopt.core.constraints.constrained import Constrained, ConstrainedObjective
from invopt.core.constraints.limits import Limits, Returned
from invopt.core.constraints.reading import with_constraints

__all__ = ["Constrained", "ConstrainedObjective", "Limits", "Returned", "with_constraints"]
