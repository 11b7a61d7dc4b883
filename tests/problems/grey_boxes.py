"""Small grey boxes whose derivatives can be written out."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from invopt import problems
from invopt.core.machine.clock import Clock
from invopt.run.arguments.options import Options
from invopt.run.loop import open_evaluator
from invopt.run.prepare import prepare

RNG = np.random.default_rng(3)
INPUTS = RNG.standard_normal((3, 4))
# Every item has a curvature, a slope and a value of its own.
ROOTS = RNG.standard_normal((3, 2, 2))
CURVATURES = np.einsum("kij,klj->kil", ROOTS, ROOTS) + np.eye(2)
SLOPES = RNG.standard_normal((3, 2))
SCALE = np.array([2.0, 0.5])


def bowl(x, target):
    k = int(target)
    return float(0.5 * x @ CURVATURES[k] @ x + SLOPES[k] @ x + k)


def bowls(X, target):
    """`bowl` at many points."""
    k = int(target)
    return 0.5 * ((X @ CURVATURES[k]) * X).sum(1) + X @ SLOPES[k] + k


def make_bowl():
    return problems.Function(fun=bowls, x0=[0.0, 0.0], x_scale=SCALE, targeted=True, vectorized=True)


def linear():
    torch.manual_seed(0)
    return nn.Linear(4, 2, dtype=torch.float64)


def curved():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 5, dtype=torch.float64), nn.Tanh(), nn.Linear(5, 2, dtype=torch.float64))


def make_problem(model=None, **options):
    return problems.GreyBox(linear() if model is None else model, make_bowl(), INPUTS, targets=np.arange(3), **options)


def estimates(problem, estimator, k=1, **options):
    run = prepare(problem, Options(estimator=estimator, rng=0, progress=False, **options))
    with run.open() as objective:
        evaluator = open_evaluator(run, objective, Clock())
        evaluator.budget = type(evaluator.budget)()
        x = problem.as_tensor(run.x0 / run.x_scale)
        memory = run.estimator.init(problem)
        for _ in range(k):
            yield run.estimator.estimate(evaluator, x, memory, run.rng)[0]


def distance(x, target):
    return float(((x - target) ** 2).sum())
