"""Estimators: one file an algorithm."""

from invopt._estimator import Estimator as REGISTERED_BASE
from invopt.estimators.aggregate_gradient import AggregateGradient
from invopt.estimators.aggregate_hessian import AggregateHessian
from invopt.estimators.aggregate_hvp import AggregateHVP
from invopt.estimators.finite_difference import FiniteDifference
from invopt.estimators.fr22 import FR22
from invopt.estimators.function_value import FunctionValue
from invopt.estimators.shared_samples import SharedSamples
from invopt.estimators.smoothed_gradient import SmoothedGradient
from invopt.estimators.smoothed_hessian import SmoothedHessian
from invopt.estimators.smoothed_hvp import SmoothedHVP
from invopt.estimators.spsa import SPSA

__all__ = [
    "FR22",
    "SPSA",
    "AggregateGradient",
    "AggregateHVP",
    "AggregateHessian",
    "FiniteDifference",
    "FunctionValue",
    "SharedSamples",
    "SmoothedGradient",
    "SmoothedHVP",
    "SmoothedHessian",
]
