"""Residuals linear in the parameters, with noise that depends on spp."""

import math

import numpy as np
import torch

from invopt import Capability, Objective, Problem


class LineObjective(Objective):
    """Residuals linear in x, with noise that depends on the seed and on spp."""

    chunk_size = 1

    def __init__(self, slope):
        self.slope = slope

    def residuals(self, x, *, seed, spp=None):
        rows = []
        for row, s in zip(x.numpy(), seed, strict=True):
            noise = np.random.default_rng(int(s)).standard_normal(self.slope.shape[0])
            rows.append(self.slope @ row + 0.3 * noise / math.sqrt((spp or 4) / 4))
        return torch.from_numpy(np.array(rows))

    def fun(self, x, *, seed, spp=None):
        return self.residuals(x, seed=seed, spp=spp).square().mean(1)


class Line(Problem):
    provides = Capability.FUN | Capability.RESIDUALS
    x0 = np.array([1.0, -0.5])
    x_opt = np.zeros(2)
    samples = 4

    def open(self):
        return LineObjective(np.random.default_rng(0).standard_normal((240, 2)) * [1.0, 0.4])
