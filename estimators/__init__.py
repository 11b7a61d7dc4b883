"""Estimators of values and derivatives, one file for each."""

if __name__ != "invopt.estimators":
    # By another name, every class here would exist a second time.
    raise ImportError(f"this folder is invopt.estimators, not {__name__}: write `from invopt import estimators`")

from .aggregate_gradient import AggregateGradient
from .aggregate_hessian import AggregateHessian
from .aggregate_hvp import AggregateHVP
from .autodiff import Autodiff
from .emulation.value_kriging import ValueKriging
from .equation.dual_buffer import DualBuffer
from .equation.full_gradient import FullGradient
from .equation.semi_gradient import SemiGradient
from .equation.weighted_dual_buffer import WeightedDualBuffer
from .exact_derivative import ExactDerivative
from .finite_difference import FiniteDifference
from .fr22 import FR22
from .function_value import FunctionValue
from .kriging import Kriging
from .network.gauss_newton import GaussNewton
from .network.newton_target import NewtonTarget
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
    "DualBuffer",
    "ExactDerivative",
    "FiniteDifference",
    "FullGradient",
    "FunctionValue",
    "GaussNewton",
    "Kriging",
    "NewtonTarget",
    "SemiGradient",
    "SharedSamples",
    "SmoothedGradient",
    "SmoothedHVP",
    "SmoothedHessian",
    "SparseGaussNewton",
    "ValueKriging",
    "WeightedDualBuffer",
]
