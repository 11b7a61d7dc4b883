"""Estimators: one file an algorithm."""

from .aggregate_gradient import AggregateGradient
from .aggregate_hessian import AggregateHessian
from .aggregate_hvp import AggregateHVP
from .autodiff import Autodiff
from .finite_difference import FiniteDifference
from .fr22 import FR22
from .function_value import FunctionValue
from .gauss_newton import GaussNewton
from .sample_history import SampleHistory
from .shared_samples import SharedSamples
from .smoothed_gradient import SmoothedGradient
from .smoothed_hessian import SmoothedHessian
from .smoothed_hvp import SmoothedHVP
from .sparse_gauss_newton import SparseGaussNewton
from .spsa import SPSA

__all__ = [
    "FR22",
    "SPSA",
    "AggregateGradient",
    "AggregateHVP",
    "AggregateHessian",
    "Autodiff",
    "FiniteDifference",
    "FunctionValue",
    "GaussNewton",
    "SampleHistory",
    "SharedSamples",
    "SmoothedGradient",
    "SmoothedHVP",
    "SmoothedHessian",
    "SparseGaussNewton",
]
