"""Pictures of soft boxes."""

import itertools

import numpy as np
import pytest
import torch

from invopt import problems
from invopt.problems.tasks.boxes import BoxesObjective


def slow_picture(centres, resolution):
    """The definition of the paper's box, pixel by pixel."""
    pixel = (np.arange(resolution) + 0.5) / resolution
    picture = np.zeros((resolution, resolution))
    for across, down in centres:
        dx, dy = np.meshgrid((pixel - across) / 0.1, (pixel - down) / 0.1)
        picture += np.clip(1 - 2 * (np.abs(dx) ** 10 + np.abs(dy) ** 10), 0, 1)
    return picture


@pytest.mark.parametrize("resolution", [10, 37, 100])
def test_picture_is_the_definition(resolution):
    x = np.array([0.1, 0.9, 0.33, 0.41, 0.4, 0.45])
    objective = BoxesObjective(np.array([0.5, 0.5]), resolution)
    np.testing.assert_allclose(objective.image(x), slow_picture(x.reshape(-1, 2), resolution), atol=1e-12)


def test_fun_is_the_mean_square_of_the_pictures_difference():
    problem = problems.Box10(resolution=50)
    x = problem.starts(np.random.default_rng(0), 3)
    with problem.open() as objective:
        values = objective.fun(torch.from_numpy(x), seed=np.zeros(3)).numpy()
        residuals = objective.residuals(torch.from_numpy(x), seed=np.zeros(3)).numpy()
    target = slow_picture(problem.x_opt.reshape(-1, 2), 50)
    expected = [np.mean((slow_picture(row.reshape(-1, 2), 50) - target) ** 2) for row in x]
    np.testing.assert_allclose(values, expected, rtol=1e-12)
    np.testing.assert_allclose((residuals**2).mean(1), expected, rtol=1e-12)


def test_no_overlap_is_a_plateau():
    problem = problems.Box2()
    x = torch.from_numpy(problem.starts(np.random.default_rng(0), 50))
    with problem.open() as objective:
        values = objective.fun(x, seed=np.zeros(50)).numpy()
    assert np.ptp(values) < 1e-4 * values.mean()
    assert (np.abs(x.numpy() - problem.x_opt).max(1) >= 0.2).all()


def test_box10_error_does_not_depend_on_the_order_of_the_boxes():
    problem = problems.Box10()
    x = problem.starts(np.random.default_rng(0), 1)[0]
    errors = {
        round(problem.parameter_error(x.reshape(5, 2)[list(order)].ravel()), 12)
        for order in itertools.permutations(range(5))
    }
    assert len(errors) == 1
    assert errors.pop() == pytest.approx(
        min(
            np.mean((x.reshape(5, 2)[list(order)].ravel() - problem.x_opt) ** 2)
            for order in itertools.permutations(range(5))
        )
    )
