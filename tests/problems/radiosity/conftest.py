"""A radiance field, trained once per test session."""

import pytest

import invopt

from .trainings import small


@pytest.fixture(scope="session")
def trained():
    problem = small(n_points=256)
    return problem, invopt.minimize(problem, rng=1, maxiter=20)
