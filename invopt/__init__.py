"""Optimization through renderers and other black boxes.

One call composes three declarative parts: ``invopt.minimize(problem, estimator, method)``.
"""

from invopt import estimators, optimizers, problems
from invopt._as_method import as_method
from invopt._differentiate import Derivatives, differentiate
from invopt._estimator import Estimate, Estimator, Order
from invopt._minimize import minimize
from invopt._optimizer import Optimizer, Oracle
from invopt._problem import Capability, Objective, Problem
from invopt._result import History, OptimizeResult, Status
from invopt._schedules import Constant, Exponential, Linear, Schedule, StepDecay
from invopt._seeds import SeedPolicy
from invopt._session import Request, Session
from invopt._width import AdaptiveWidth
from invopt.exceptions import (
    BackendError,
    CheckpointError,
    EvaluationError,
    EvaluationTimeoutError,
    IdentityError,
    IncompatibleError,
    InvoptError,
    JournalError,
    JournalWarning,
    NonFiniteError,
    SceneError,
    UnknownNameError,
    WrongValueError,
)
from invopt.journal import Journal
from invopt.snapshots import Checkpoint

__all__ = [
    "AdaptiveWidth",
    "BackendError",
    "Capability",
    "Checkpoint",
    "CheckpointError",
    "Constant",
    "Derivatives",
    "Estimate",
    "Estimator",
    "EvaluationError",
    "EvaluationTimeoutError",
    "Exponential",
    "History",
    "IdentityError",
    "IncompatibleError",
    "InvoptError",
    "Journal",
    "JournalError",
    "JournalWarning",
    "Linear",
    "NonFiniteError",
    "Objective",
    "OptimizeResult",
    "Optimizer",
    "Oracle",
    "Order",
    "Problem",
    "Request",
    "SceneError",
    "Schedule",
    "SeedPolicy",
    "Session",
    "Status",
    "StepDecay",
    "UnknownNameError",
    "WrongValueError",
    "as_method",
    "differentiate",
    "estimators",
    "minimize",
    "optimizers",
    "problems",
]

__version__ = "0.2.0"
