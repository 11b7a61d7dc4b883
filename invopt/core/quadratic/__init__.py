"""Minimisers of a quadratic model g'p + p'Hp / 2: Newton steps and trust regions."""

from invopt.core.quadratic.ball import solve_ball
from invopt.core.quadratic.conjugate_gradients import to_boundary, truncated_cg
from invopt.core.quadratic.newton_step import damped_newton_step, newton_step, on_free

__all__ = ["damped_newton_step", "newton_step", "on_free", "solve_ball", "to_boundary", "truncated_cg"]
