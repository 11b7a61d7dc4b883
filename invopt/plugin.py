"""Everything that a problem, an estimator or a method of your own needs.

The parts of invopt itself import this module, `invopt.exceptions` and, to render, `invopt.rendering`, and nothing else
of the framework. Parts of your own need no more.

The names in ``__all__`` are stable: their meaning and their arguments stay the same within a minor version (0.2.x). If
a later minor version changes one, the change log says how. Other modules may change with any version.

`invopt.testing` checks a part. Entry points of the groups ``invopt.problems``, ``invopt.estimators`` and
``invopt.optimizers`` give it a name for `invopt.minimize`, the command line and the benchmark.

Problems
    `Problem` describes what is minimised, and its `Objective` evaluates it. `Capability` says what the objective can
    compute. A `Grid` says which parameters are neighbours. `as_bounds`, `check_start`, `check_scale`, `check_grids` and
    `eighths` validate bounds, starts, scales and grids.
Estimators
    An `Estimator` evaluates through an `Evaluator` and returns an `Estimate`. `Order` says what the estimate holds.
    `Measurement` is a value with its standard error, `SeedSource` draws seeds, a `Schedule` sets sigma. A `Model`
    predicts residuals at other points, as `Prediction` and `Slopes`; an `Instrument` projects residuals, and an
    `Incumbent` is the best point so far. `pyramid` blurs pictures among residuals; `independent_values`,
    `level_weights` and `projection` say how its levels count.
Optimizers
    An `Optimizer` turns an estimate into a step. Its `Oracle` makes further evaluations, its `Status` ends a run.
Quadratic models
    `solve_ball` minimises one inside a ball, `truncated_cg` does so approximately from Hessian-vector products, and
    `to_boundary` extends a step to the boundary. `newton_step` is the minimum of a convex one, `damped_newton_step` a
    step that indefinite ones have too, and `on_free` keeps parameters at a bound fixed.
Fields and arguments
    `real`, `integer`, `boolean`, `one_of` and `instance` validate attrs fields; `require` and the functions ``as_...``
    validate arguments. All messages name the field, the rule and the value. `without` says what
    replaced an option that a class no longer has.
Priors
    `LinearRows` are linear functions of x that are standard normal, `Problem.prior`; a `PosteriorObjective` has them.
Special problems
    `Adjoint` for derivatives of a renderer; `Chain` and `Link` for a network in front of a black box; `Sides` and
    `ResidualLoss` for an equation in place of a value;
    `Shading` for residuals with their Jacobian by what shades; `Runtime` for evaluations that need a process to
    themselves.
"""

from invopt.core.answers.shading import Shading
from invopt.core.estimator import Estimate, Estimator, Incumbent, Measurement, Order
from invopt.core.evaluator import HESS_COST, JAC_COST, SHADING_COST, Evaluator
from invopt.core.formatting import shown
from invopt.core.identity import digest
from invopt.core.machine.asking_thread import AskingThread
from invopt.core.machine.threads import one_thread
from invopt.core.machine.turn import one_at_a_time
from invopt.core.model import Instrument, Model, Prediction, Slopes, ValueModel
from invopt.core.objective import ADJOINT, Adjoint, Capability, Objective
from invopt.core.optimizer import Optimizer, Oracle
from invopt.core.parameters.grid import Grid, check_grids
from invopt.core.priors import PosteriorObjective
from invopt.core.problem import Chain, Link, Problem
from invopt.core.pyramid import independent_values, level_weights, projection, pyramid
from invopt.core.quadratic import damped_newton_step, newton_step, on_free, solve_ball, to_boundary, truncated_cg
from invopt.core.quadratic.linear_rows import LinearRows
from invopt.core.registry import find, resolve
from invopt.core.registry.removed import without
from invopt.core.residual_equation import ResidualLoss, Sides
from invopt.core.result import OptimizeResult, Status
from invopt.core.runtime import Processes, Runtime
from invopt.core.schedules import BudgetDecay, Constant, Exponential, Linear, Schedule, StepDecay, as_schedule
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
from invopt.run.arguments.bounds import as_bounds, check_start, eighths
from invopt.run.minimize import minimize_on

__all__ = [
    "ADJOINT",
    "FIRST_REFERENCE_SEED",
    "HESS_COST",
    "JAC_COST",
    "SHADING_COST",
    "Adjoint",
    "AskingThread",
    "BudgetDecay",
    "Capability",
    "Chain",
    "Constant",
    "Estimate",
    "Estimator",
    "Evaluator",
    "Exponential",
    "Grid",
    "Incumbent",
    "Instrument",
    "Linear",
    "LinearRows",
    "Link",
    "Measurement",
    "Model",
    "Objective",
    "OptimizeResult",
    "Optimizer",
    "Oracle",
    "Order",
    "PosteriorObjective",
    "Prediction",
    "Problem",
    "Processes",
    "ResidualLoss",
    "Runtime",
    "Schedule",
    "SeedPolicy",
    "SeedSource",
    "Shading",
    "Sides",
    "Slopes",
    "Status",
    "StepDecay",
    "ValueModel",
    "as_bounds",
    "as_integer",
    "as_list",
    "as_real",
    "as_schedule",
    "as_vector",
    "boolean",
    "by_name",
    "check_grids",
    "check_scale",
    "check_start",
    "damped_newton_step",
    "digest",
    "eighths",
    "find",
    "has_masked",
    "independent_values",
    "instance",
    "integer",
    "level_weights",
    "minimize_on",
    "newton_step",
    "on_free",
    "one_at_a_time",
    "one_of",
    "one_thread",
    "plain",
    "projection",
    "pyramid",
    "real",
    "require",
    "resolve",
    "shown",
    "solve_ball",
    "to_boundary",
    "truncated_cg",
    "with_fields",
    "without",
]
