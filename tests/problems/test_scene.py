"""Scene: residuals, losses, cameras, targets, start and answer."""

import math
import pickle

import attrs
import numpy as np
import pytest
import torch

import invopt
from invopt import problems
from invopt.core.objective import Capability
from invopt.exceptions import IncompatibleError
from invopt.rendering import activate

from .tiny_scenes import ANSWER, HEIGHT, TINY, WIDTH, room, scene, two_views


@pytest.mark.render
@pytest.mark.parametrize("loss", ["mse", "relative-mse", "multi-scale-mse"])
def test_fun_is_the_mean_square_of_the_residuals(loss):
    problem = scene(two_views, loss=loss, sensors=(0, 1))
    x = torch.from_numpy(problem.starts(np.random.default_rng(0), 2))
    assert Capability.RESIDUALS in problem.provides
    with problem.open() as live:
        values, residuals = live.fun(x, seed=np.array([1, 2])), live.residuals(x, seed=np.array([1, 2]))
    torch.testing.assert_close(values, residuals.square().mean(1), rtol=1e-4, atol=0)


@pytest.mark.render
def test_losses_are_what_they_say():
    def smallest(image, target):
        assert image.shape == target.shape == (HEIGHT, WIDTH, 3)
        return float(np.abs(image - target).min())

    x, seed = torch.from_numpy(scene().x0[None]), np.array([1])
    values = {}
    for loss in ("mse", "relative-mse", "l1", "multi-scale-mse", smallest):
        problem = scene(loss=loss)
        with problem.open() as live:
            values[loss] = live.fun(x, seed=seed).item()
            difference, target = live.image(x[0], seed=1).astype(float) - live.reference, live.reference.astype(float)
    assert values["mse"] == pytest.approx(np.mean(difference**2), rel=1e-4)
    assert values["relative-mse"] == pytest.approx(np.mean(difference**2 / (target**2 + 0.01)), rel=1e-4)
    assert values["l1"] == pytest.approx(np.mean(np.abs(difference)), rel=1e-4)
    assert values[smallest] == pytest.approx(np.abs(difference).min(), rel=1e-4)
    levels = [difference]
    for _ in range(3):
        h, w = (size // 2 * 2 for size in levels[-1].shape[:2])
        levels.append(levels[-1][:h, :w].reshape(h // 2, 2, w // 2, 2, 3).mean((1, 3)))
    assert values["multi-scale-mse"] == pytest.approx(np.mean([np.mean(d**2) for d in levels]), rel=1e-4)
    assert scene(loss="l1").provides == Capability.FUN | Capability.JAC | Capability.TARGET
    assert scene(loss=smallest).provides == Capability.FUN | Capability.TARGET


@pytest.mark.render
def test_rows_of_one_picture_are_not_several_pictures():
    picture = np.random.default_rng(0).random((HEIGHT, WIDTH, 3))
    assert len(scene(target=picture.tolist()).target) == 1
    assert len(scene(two_views, target=[picture, np.zeros((20, 12))]).target) == 2
    assert len(scene(two_views, target=[picture.tolist(), np.zeros((20, 12)).tolist()]).target) == 2
    assert scene(sensors=0).sensors == (0,)


@pytest.mark.render
def test_the_target_is_not_the_losss_to_change():
    with (
        scene(loss=lambda image, target: target.fill(0.0)).open() as live,
        pytest.raises(ValueError, match="read-only"),
    ):
        live.fun(torch.zeros(1, 5, dtype=torch.float64), seed=np.array([1]))


def test_a_loss_without_derivative_is_named():
    with pytest.raises(IncompatibleError, match="a Python callable has no derivative; use a loss that has"):
        invopt.minimize(scene(loss=lambda image, target: 0.0), "autodiff")


@pytest.mark.render
def test_several_cameras_count_alike():
    problem = scene(two_views, sensors=[0, 1])
    x, seed = torch.from_numpy(problem.x0[None]), np.array([1])
    with problem.open() as live:
        both = live.fun(x, seed=seed).item()
        assert live.reference.shape == (20, WIDTH + 12, 3)
    single = []
    for sensor in (0, 1):
        with scene(two_views, sensors=[sensor]).open() as live:
            single.append(live.fun(x, seed=seed).item())
    assert both == pytest.approx(np.mean(single), rel=1e-5)
    pictures = [np.ones((HEIGHT, WIDTH, 3)), np.ones((20, 12, 3))]
    with scene(two_views, target=pictures).open() as live:
        assert live.reference.shape == (20, WIDTH + 12, 3)


def test_nothing_of_the_callers_is_kept_or_changed():
    activate()
    description = room()
    pose = description["ground"]["to_world"]
    problem = problems.Scene(description, parameters=TINY, x_opt=ANSWER)
    pose[:] = 0
    assert problem.scene["ground"]["to_world"][0, 0] == 4
    copy = pickle.loads(pickle.dumps(problem))
    with copy.open() as live:
        assert np.isfinite(live.reference).all()
    assert set(description) == set(room())
    evolved = attrs.evolve(problem, spp=2)
    assert (evolved.spp, evolved.names) == (2, problem.names)


@pytest.mark.render
def test_start_and_answer_by_name_or_as_a_point():
    problem = scene(x0={"lamp.intensity": 3.0})
    np.testing.assert_allclose(problem.x0, [0, 0.5, 0.5, 0.5, math.log(3)], rtol=1e-6)
    np.testing.assert_allclose(problem.x_opt, [0.3, 0.2, 0.6, 0.3, math.log(9)], rtol=1e-6)
    assert scene(x0=[0.1] * 5).x0.tolist() == [0.1] * 5
    assert problem.bounds.lb.tolist() == [-1, 0, 0, 0, -math.inf]
    assert problem.x_scale.tolist() == [0.25, 0.125, 0.125, 0.125, 0.5]


@pytest.mark.render
def test_points_that_are_not_finite():
    with scene().open() as live:
        x = torch.tensor([[math.nan] * 5, [0.0, 0.5, 0.5, 0.5, 1.0], [math.inf] * 5], dtype=torch.float64)
        assert live.fun(x, seed=np.array([1, 1, 1])).isfinite().tolist() == [False, True, False]
        assert live.residuals(x, seed=np.array([1, 1, 1])).isfinite().all(1).tolist() == [False, True, False]
        with pytest.raises(ValueError, match="'x' and the parameters that it sets must be finite"):
            live.image([math.nan] * 5)
