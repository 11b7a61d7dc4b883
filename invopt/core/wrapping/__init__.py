"""Problems that are another problem and something more."""

from invopt.core.wrapping.problem_of import ProblemOf

__all__ = ["ProblemOf"]
