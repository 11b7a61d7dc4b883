"""Small trainings of networks, and edits of their checkpoint files."""

import numpy as np
import torch

import invopt
from invopt import problems
from invopt.snapshots.files import read, write


def training(seed=0, **options):
    """A network of two layers in front of a quadratic."""
    torch.manual_seed(seed)
    inputs = np.random.default_rng(0).uniform(-1, 1, (8, 2))
    model = torch.nn.Sequential(torch.nn.Linear(2, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2))
    return problems.GreyBox(model, problems.Quadratic(), inputs, **({"batch_size": 3} | options))


def train(path, maxiter, problem=None, estimator="fr22", method="adam", **options):
    given = training() if problem is None else problem
    named = {"rng": 3, "gtol": 0.0, "xtol": 0.0, "progress": False} | options
    return invopt.minimize(given, estimator, method, maxiter=maxiter, checkpoint=path, **named)


def rewrite(path, change):
    """Change the header of a file, and make its checksum that of what it then holds."""
    header, tensors = read(path)
    write(path, change(header), tensors)
