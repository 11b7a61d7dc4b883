"""What a part of your own needs: problems, estimators and methods are written against this module.

It is stable: a name in ``__all__`` keeps its meaning and its arguments within a minor version (0.2.x); where a later
one changes it, the change log says how. The parts of this package import this module, `invopt.exceptions` and, where
they render, `invopt.rendering`, and nothing else of the framework. Parts of your own need no more. What is not named
here or in `invopt` may change with any version.

A part is registered by an entry point of the group ``invopt.problems``, ``invopt.estimators`` or
``invopt.optimizers`` in its package's own pyproject.toml. It then has a name for `invopt.minimize`, for the command
line and for the benchmark. `invopt.testing` checks what such a part must keep.

Problems
    `Problem` describes what is minimised, `Objective` is its live side, `Capability` what that can be asked for.
    `Chain` and `Link` describe a network in front of it; `Sides` and `ResidualLoss` an equation in place of a value.
    `Runtime` says what evaluations need of their processes, and `one_at_a_time` has threads take turns. `as_bounds`,
    `check_start` and `eighths` are what `invopt.minimize` makes of bounds and starts.
Estimators
    `Estimator` returns an `Estimate`, with `Measurement` for sampled quantities and `Lowest` for the best sample; it
    evaluates through an `Evaluator`, whose prices are `JAC_COST` and `HESS_COST`, with seeds of a `SeedSource` under a
    `SeedPolicy`. `Order` says what an estimate holds. `Schedule` and its classes, and `AdaptiveWidth`, are widths.
Optimizers
    `Optimizer` makes steps, with an `Oracle` for further evaluations, and ends with a `Status`. `AskingThread` runs a
    method of another library, which asks where ours are asked.
Quadratic models
    `solve_ball` minimises one in a ball, `truncated_cg` approximately from products alone, and `to_boundary` goes on to
    the boundary; `newton_step` is its free minimum, `damped_newton_step` one that indefinite models have too, and
    `on_free` holds the parameters that are pressed against their bounds.
Fields
    `real`, `integer`, `boolean`, `one_of`, `instance` and `with_fields` are validators of attrs fields; `require` and
    the functions ``as_...`` check arguments. All messages name the field, the rule and the value, as `shown` shows it.
Names and runs
    `find` and `resolve` look registered parts up, `digest` tells contents apart, `minimize_on` runs on an objective
    that is open already.
"""

from invopt.core.adaptive_width import AdaptiveWidth
from invopt.core.estimator import Estimate, Estimator, Lowest, Measurement, Order
from invopt.core.evaluator import HESS_COST, JAC_COST, Evaluator
from invopt.core.formatting import shown
from invopt.core.identity import digest
from invopt.core.machine.asking_thread import AskingThread
from invopt.core.machine.turn import one_at_a_time
from invopt.core.objective import ADJOINT, Adjoint, Capability, Objective
from invopt.core.optimizer import Optimizer, Oracle
from invopt.core.problem import Chain, Link, Problem
from invopt.core.quadratic import damped_newton_step, newton_step, on_free, solve_ball, to_boundary, truncated_cg
from invopt.core.registry import find, resolve
from invopt.core.residual_equation import ResidualLoss, Sides
from invopt.core.result import History, OptimizeResult, Status
from invopt.core.runtime import PLAIN, Processes, Runtime
from invopt.core.schedules import Constant, Exponential, Linear, Schedule, StepDecay, as_schedule
from invopt.core.seeds import FIRST_REFERENCE_SEED, SeedPolicy, SeedSource
from invopt.core.validators import (
    as_integer,
    as_list,
    as_real,
    as_vector,
    boolean,
    by_name,
    check_scale,
    has_masked,
    instance,
    integer,
    one_of,
    plain,
    real,
    require,
    with_fields,
)
from invopt.run.arguments import as_bounds, check_start, eighths
from invopt.run.minimize import minimize_on

__all__ = [
    "ADJOINT",
    "FIRST_REFERENCE_SEED",
    "HESS_COST",
    "JAC_COST",
    "PLAIN",
    "AdaptiveWidth",
    "Adjoint",
    "AskingThread",
    "Capability",
    "Chain",
    "Constant",
    "Estimate",
    "Estimator",
    "Evaluator",
    "Exponential",
    "History",
    "Linear",
    "Link",
    "Lowest",
    "Measurement",
    "Objective",
    "OptimizeResult",
    "Optimizer",
    "Oracle",
    "Order",
    "Problem",
    "Processes",
    "ResidualLoss",
    "Runtime",
    "Schedule",
    "SeedPolicy",
    "SeedSource",
    "Sides",
    "Status",
    "StepDecay",
    "as_bounds",
    "as_integer",
    "as_list",
    "as_real",
    "as_schedule",
    "as_vector",
    "boolean",
    "by_name",
    "check_scale",
    "check_start",
    "damped_newton_step",
    "digest",
    "eighths",
    "find",
    "has_masked",
    "instance",
    "integer",
    "minimize_on",
    "newton_step",
    "on_free",
    "one_at_a_time",
    "one_of",
    "plain",
    "real",
    "require",
    "resolve",
    "shown",
    "solve_ball",
    "to_boundary",
    "truncated_cg",
    "with_fields",
]
