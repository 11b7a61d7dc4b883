"""Bias of SampleHistory: what normalising the weights by their sum, and few samples, do to the gradient.

Run with ``pytest tests/benchmarks -k bias``; prints the table of docs/choosing.rst. Samples come from three batches
around other centres and of other widths, as in a window, over seeds 0 to 1999; the bias is the length of the mean error
of the gradient over the gradient's own length, the error the root of the mean square of that length.
"""

import math

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from ..estimators.closed_forms import make
from ..estimators.windows import SIGMA, derivatives

SEEDS = 2000
SAMPLES = (12, 24, 48, 96, 192)


@pytest.mark.parametrize("name", ["waves", "step"])
def test_bias(name):
    f, x, _ = make(name, 2)
    exact = f.smoothed(x, SIGMA).jac
    size = float(np.linalg.norm(exact))
    table = Table("samples", "bias", "its standard error", "error", title=f"gradient of {name}, n = 2, {SEEDS} seeds")
    biases = []
    for k in SAMPLES:
        errors = np.array([derivatives(f, x, k, seed)[0] - exact for seed in range(SEEDS)]) / size
        bias = float(np.linalg.norm(errors.mean(0)))
        noise = math.sqrt(errors.var(0, ddof=1).sum() / SEEDS)
        biases.append(bias)
        table.add_row(*(f"{value:.3g}" for value in (k, bias, noise, math.sqrt(np.square(errors).sum(1).mean()))))
    Console(width=100).print(table)
    assert biases[-1] < biases[0]
