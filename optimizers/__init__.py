"""Optimization methods, one file for each."""

if __name__ != "invopt.optimizers":
    # By another name, every class here would exist a second time.
    raise ImportError(f"this folder is invopt.optimizers, not {__name__}: write `from invopt import optimizers`")

from .adam import Adam
from .adaptive_bfgs import AdaptiveBFGS
from .bfgs import BFGS
from .damped_bfgs import DampedBFGS
from .differential_evolution import DifferentialEvolution
from .external.pycma import PyCMA
from .fletcher_reeves_cg import FletcherReevesCG
from .gradient_descent import GradientDescent
from .hessian_free import HessianFree
from .lbfgs import LBFGS
from .least_surprise import LeastSurprise
from .line_search import Armijo, ArmijoWolfe
from .newton import Newton
from .newton_cg import NewtonCG
from .scipy_method import Scipy
from .separable import Separable
from .values.cmaes import CMAES
from .values.coordinate_search import CoordinateSearch
from .values.lower_bound import LowerBound
from .values.portfolio import Portfolio
from .values.quasi_newton import QuasiNewton

__all__ = [
    "BFGS",
    "CMAES",
    "LBFGS",
    "Adam",
    "AdaptiveBFGS",
    "Armijo",
    "ArmijoWolfe",
    "CoordinateSearch",
    "DampedBFGS",
    "DifferentialEvolution",
    "FletcherReevesCG",
    "GradientDescent",
    "HessianFree",
    "LeastSurprise",
    "LowerBound",
    "Newton",
    "NewtonCG",
    "Portfolio",
    "PyCMA",
    "QuasiNewton",
    "Scipy",
    "Separable",
]
