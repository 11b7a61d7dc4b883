"""Residuals that depend on neighbours in grids, in closed form."""

import numpy as np

from invopt import problems
from invopt.plugin import Grid


def samples(grid, count, rng, *, margin=0.0):
    """Rows of a Jacobian that samples a grid bilinearly at random places, with random gains; one channel each."""
    rows, columns, channels = grid.shape
    n = int(grid.indices.max()) + 1
    found = np.zeros((count, n))
    for row in found:
        down = rng.uniform(margin, rows - 1 - margin)
        across = rng.uniform(0, columns if grid.periodic else columns - 1)
        gain, channel = rng.uniform(0.5, 1.5), rng.integers(channels)
        i, j = int(down), int(across)
        for di, dj in np.ndindex(2, 2):
            weight = (1 - abs(down - i - di)) * (1 - abs(across - j - dj))
            if weight > 0:
                row[grid.indices[i + di, (j + dj) % columns, channel]] += gain * weight
    return found


def widened(jacobian, n):
    """Rows of a Jacobian among n parameters."""
    return np.pad(jacobian, ((0, 0), (0, n - jacobian.shape[1])))


def problem(jacobian, grids, *, noise=0.0, x0=0.5, seed=0, points=None, **options):
    """Linear residuals with this Jacobian, an answer in [0.2, 0.8] and noise that depends on the seed."""
    m, n = jacobian.shape
    truth = np.random.default_rng(seed).uniform(0.2, 0.8, n)

    def fun(x, seed):
        if points is not None:
            points.append(x.copy())
        return jacobian @ (x - truth) + noise * np.random.default_rng(seed).standard_normal(m)

    facts = {"bounds": [(0, 1)] * n, "x_scale": np.ones(n), "sigma": 0.05} | options
    return problems.Function(
        fun=fun, x0=np.full(n, x0), x_opt=truth, residuals=True, seeded=True, sparse=True, grids=grids, **facts
    )


def plain(rows, columns, channels=1, first=0, **options):
    """A grid of consecutive parameters."""
    count = rows * columns * channels
    return Grid(first + np.arange(count).reshape(rows, columns, channels), **options)
