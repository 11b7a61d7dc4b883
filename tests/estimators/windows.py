"""Windows of samples around several centres, and the derivatives fitted to them."""

import numpy as np
import torch

from invopt.estimators.history.directions import Directions, draw
from invopt.estimators.history.regression import fit, quadratic, unpack
from invopt.estimators.history.window import Batch, reweight

SIGMA = 0.7


def batches(f, x, k, rng):
    """Three batches with different centres and sigmas, of `k` samples in total."""
    made = []
    for shift, sigma in ((0.8, 1.3), (-0.5, 0.9), (0.0, 1.0)):
        t, _ = draw(rng, k // 3, len(x), Directions())
        centre = torch.from_numpy(x) + shift * SIGMA
        points = centre + sigma * SIGMA * t
        made.append(Batch(centre, sigma * SIGMA, points, torch.from_numpy(f(points.numpy()))))
    return tuple(made)


def derivatives(f, x, k, seed):
    seen = reweight(batches(f, x, k, np.random.default_rng(seed)), torch.from_numpy(x), SIGMA)
    model = fit(*quadratic(seen.t), seen.weights, seen.funs)
    jac, hess = unpack(model.coefficients, len(x))
    error = unpack(model.covariance().diagonal().clamp(min=0).sqrt(), len(x))[0]
    return jac.numpy() / SIGMA, hess.numpy() / SIGMA**2, error.numpy() / SIGMA
