"""Optimization through renderers and other black boxes.

One call composes three declarative parts: ``invopt.minimize(problem, estimator, method)``.
"""

from typing import TYPE_CHECKING

from invopt import estimators, optimizers, problems
from invopt.adapters.as_method import as_method
from invopt.adapters.asked_objective import Request
from invopt.adapters.session import Session
from invopt.core.constraints import Returned
from invopt.core.estimator import Estimate, Estimator, Order
from invopt.core.objective import Capability, Objective
from invopt.core.optimizer import Optimizer, Oracle
from invopt.core.priors import Gaussian
from invopt.core.problem import Problem
from invopt.core.registry.moved import find_moved_modules
from invopt.core.registry.removed import REMOVED
from invopt.core.result import History, OptimizeResult, Status
from invopt.core.schedules import BudgetDecay, Constant, Exponential, Linear, Schedule, StepDecay
from invopt.core.seeds import SeedPolicy
from invopt.exceptions import (
    BackendError,
    CheckpointError,
    EntryPointError,
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
from invopt.report.progress import live_view, progress_bar
from invopt.run.differentiate import Derivatives, differentiate
from invopt.run.minimize import minimize
from invopt.run.progress import show_progress_by
from invopt.snapshots import Checkpoint

# The loop prints nothing itself.
show_progress_by(progress_bar, live=live_view)
find_moved_modules()

__all__ = [
    "BackendError",
    "BudgetDecay",
    "Capability",
    "Checkpoint",
    "CheckpointError",
    "Constant",
    "Derivatives",
    "EntryPointError",
    "Estimate",
    "Estimator",
    "EvaluationError",
    "EvaluationTimeoutError",
    "Exponential",
    "Gaussian",
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
    "Returned",
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

if not TYPE_CHECKING:

    def __getattr__(name: str) -> None:
        raise AttributeError(f"module 'invopt' has no attribute {name!r}; {REMOVED.get(name, '')}".rstrip("; "))
