"""Adam by its closed form."""

import numpy as np
import pytest

from invopt import minimize
from invopt.optimizers import Adam


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.5), (0.5, 0.0)])
def test_under_a_constant_gradient_every_step_is_the_learning_rate(betas):
    """Both bias-corrected means are constant."""
    found = minimize(
        lambda x: float(300 * x[0] - 0.2 * x[1]), "finite-difference", Adam(lr=0.1, betas=betas), x0=[0, 0], maxiter=8
    )
    np.testing.assert_allclose(found.history["x"], np.outer(np.arange(9), [-0.1, 0.1]), rtol=1e-5, atol=1e-12)
