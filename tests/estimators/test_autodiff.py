import math
import os

import numpy as np
import pytest
import torch

import invopt
from invopt import estimators, optimizers, problems
from invopt.core.objective import Adjoint, Capability, Objective
from invopt.evaluate.budget import Budget, StopRun
from invopt.evaluate.evaluator import CountingEvaluator
from invopt.exceptions import EvaluationError, IncompatibleError, NonFiniteError, SceneError
from invopt.rendering import Backend, CameraPose, Color, Translation, choose
from invopt.rendering.descriptions import camera, diffuse
from invopt.testing import assert_mean

from .error_bars import assert_bars

HESS = torch.tensor([[4.0, 1.0], [1.0, 3.0]], dtype=torch.float64)


class Exact(Objective):
    """A quadratic with its derivative, with optional noise."""

    def __init__(self, noise=0.0):
        self.noise = noise
        self.seeds = []

    def fun(self, x, *, seed, spp=None):
        return 0.5 * ((x @ HESS) * x).sum(1)

    def jac(self, x, *, seed):
        self.seeds.append(seed)
        rng = np.random.default_rng(seed)
        return HESS @ x + self.noise * torch.from_numpy(rng.standard_normal(2))


def evaluator(objective, scale=(1.0, 1.0), **limits):
    scale = torch.tensor(scale, dtype=torch.float64)
    return CountingEvaluator(objective, Capability.FUN | Capability.JAC, scale, budget=Budget(**limits))


def test_gradient_is_in_units_of_the_scale():
    x = torch.tensor([1.0, -1.0], dtype=torch.float64)
    measured = evaluator(Exact(), scale=(2.0, 0.5))
    values, jacs = measured.values_and_jacs(x, seed=np.array([1]))
    point = torch.tensor([2.0, -0.5], dtype=torch.float64)
    torch.testing.assert_close(jacs[0], (HESS @ point) * torch.tensor([2.0, 0.5], dtype=torch.float64))
    torch.testing.assert_close(values[0], 0.5 * point @ HESS @ point)
    assert measured.nfev == 2


def test_mean_and_standard_error_of_samples():
    estimator, x = estimators.Autodiff(n_samples=16), torch.tensor([0.5, 0.2], dtype=torch.float64)
    found = [estimator.estimate(evaluator(Exact(0.3)), x, None, np.random.default_rng(seed))[0] for seed in range(300)]
    assert_mean(torch.stack([e.jac for e in found]).numpy(), HESS @ x)
    assert_bars(torch.stack([(e.jac - HESS @ x) / e.standard_error for e in found]), dof=15)
    single = estimators.Autodiff().estimate(evaluator(Exact()), x, None, np.random.default_rng(0))[0]
    assert (single.nfev, bool(single.standard_error.isinf().all())) == (2, True)
    assert found[0].nfev == estimator.cost(2) == 32


def test_budget_is_kept():
    x = torch.zeros(2, dtype=torch.float64)
    with pytest.raises(StopRun):
        evaluator(Exact(), maxfev=5).values_and_jacs(x, seed=np.array([1, 2, 3]))
    with pytest.raises(StopRun):
        evaluator(Exact(), maxtime=0.0).values_and_jacs(x, seed=np.array([1]))


def test_errors_are_ours():
    class Broken(Exact):
        def jac(self, x, *, seed):
            raise ZeroDivisionError("no")

    class Nan(Exact):
        def jac(self, x, *, seed):
            return torch.full_like(x, math.nan)

    x = torch.zeros(2, dtype=torch.float64)
    with pytest.raises(EvaluationError, match="the derivative of the objective raised ZeroDivisionError: no"):
        evaluator(Broken()).values_and_jacs(x, seed=np.array([1]))
    with pytest.raises(NonFiniteError, match="derivative is not finite"):
        evaluator(Nan()).values_and_jacs(x, seed=np.array([1]))
    with pytest.raises(IncompatibleError, match="Autodiff needs JAC, but Box2 provides FUN"):
        invopt.minimize("box2", "autodiff")
    with pytest.raises(ValueError, match="integrator"):
        estimators.Autodiff(integrator="path")


def test_zero_derivative_is_a_plateau_not_an_answer():
    class Flat(problems.Quadratic):
        provides = Capability.FUN | Capability.JAC

        def open(self):
            return FlatObjective()

    class FlatObjective(Objective):
        def fun(self, x, *, seed, spp=None):
            return torch.ones(len(x), dtype=torch.float64)

        def jac(self, x, *, seed):
            return torch.zeros_like(x)

    res = invopt.minimize(Flat(), estimators.Autodiff(n_samples=2), optimizers.Adam(), rng=0, maxiter=50)
    assert not res.success
    assert res.status is invopt.Status.PLATEAU
    assert "derivative is exactly zero" in res.message


def wall():
    """A ball behind the camera, which no pixel shows."""
    grey = diffuse(0.5, 0.5, 0.5)
    return {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": 2},
        "sensor": camera(origin=[0, -3, 0], target=[0, 0, 0], fov=40, width=8, height=8),
        "wall": {
            "type": "rectangle",
            "to_world": np.diag([5.0, 5, 1, 1])[[0, 2, 1, 3]],
            "bsdf": diffuse(0.5, 0.5, 0.5),
        },
        "ball": {"type": "sphere", "center": [0, -9, 0], "bsdf": grey},
        "sky": {"type": "constant"},
    }


@pytest.mark.render
def test_what_no_pixel_shows_has_a_derivative_of_zero():
    problem = problems.Scene(wall(), parameters=Color("ball.bsdf.reflectance"), x_opt=[0.1, 0.1, 0.1], spp=4)
    res = invopt.minimize(problem, "autodiff", "adam", rng=0, maxiter=60)
    assert res.status is invopt.Status.PLATEAU
    assert "no pixel depends smoothly" in res.message


@pytest.mark.render
def test_a_scene_without_derivative_is_an_error():
    problem = problems.Scene(wall(), parameters=CameraPose(), x_opt=np.zeros(6), spp=4)
    with pytest.raises(SceneError, match=r"no derivative with respect to 'sensor.to_world', which 'sensor.pose'"):
        invopt.minimize(problem, "autodiff", "adam", rng=0)
    callable_loss = problems.Scene(wall(), parameters=Translation("ball"), x_opt=np.zeros(3), loss=lambda a, b: 0.0)
    with pytest.raises(IncompatibleError, match="Autodiff needs JAC, but Scene provides FUN"):
        invopt.minimize(callable_loss, "autodiff", "adam")


@pytest.mark.render
def test_at_the_answer_the_gradient_has_mean_zero():
    """Noise of the picture and of its derivative must be independent."""
    if choose().backend is Backend.SCALAR:
        pytest.skip("the scalar backend has no derivative")
    # Of four lamps, of which a path picks one, three are behind the wall: one sample has three times the variance of
    # the square of its mean.
    places = [(0.0, 3.0, 0.0), *((x, -3.0, 0.0) for x in (-1.0, 0.0, 1.0))]
    lamps = {f"lamp{i}": {"type": "point", "position": place, "intensity": 9.0} for i, place in enumerate(places)}
    seen = {"sensor": camera(origin=[0, 3, 0], target=[0, 0, 0], fov=40, width=8, height=8)}
    description = {name: part for name, part in wall().items() if name not in ("sky", "ball")} | lamps | seen
    problem = problems.Scene(
        description, parameters=Color("wall.bsdf.reflectance"), x_opt=[0.5, 0.5, 0.5], spp=1, reference_spp=4096
    )
    with problem.open() as live:
        x = torch.from_numpy(problem.x_opt)
        assert (live.reference > 0.1).all()
        found = [live.value_and_jac(x, seed=seed)[1] for seed in range(1, 61)]
    assert_mean(torch.stack(found), np.zeros(3))


@pytest.mark.render
def test_texture_is_solved():
    problem = problems.Texture(size="tiny")
    res = invopt.minimize(problem, "autodiff", optimizers.Adam(lr=0.05), rng=0, maxiter=60)
    assert problem.parameter_error(res.x) < 0.03 * problem.parameter_error(problem.x0)


@pytest.mark.render
def test_bunny_is_solved_by_the_derivative_of_direct_light():
    if choose().backend is Backend.SCALAR:
        pytest.skip("the scalar backend has no derivative")
    problem = problems.Bunny(size="tiny")
    x0 = problem.starts(np.random.default_rng(0), 1)[0]
    adam = optimizers.Adam(lr=invopt.Exponential(start=0.03, factor=0.98))
    res = invopt.minimize(problem, estimators.Autodiff(max_depth=2), adam, x0=x0, rng=0, maxiter=80)
    assert problem.parameter_error(res.x) < 0.03 * problem.parameter_error(x0)


@pytest.mark.render
def test_shorter_paths_are_differentiated_on_request_and_pictures_keep_theirs():
    if choose().backend is Backend.SCALAR:
        pytest.skip("the scalar backend has no derivative")
    # A floor that the camera does not see lights the wall that it does see.
    description = wall() | {"integrator": {"type": "path", "max_depth": 3}}
    description["wall"] = description["wall"] | {"bsdf": {"type": "twosided", "bsdf": diffuse(0.5, 0.5, 0.5)}}
    below = np.diag([5.0, 5.0, 1.0, 1.0])
    below[2, 3] = -1.3
    description["ball"] = {"type": "rectangle", "to_world": below, "bsdf": diffuse(0.9, 0.9, 0.9)}
    problem = problems.Scene(description, parameters=Color("ball.bsdf.reflectance"), x_opt=[0.1] * 3, spp=16)
    x = torch.tensor([0.9, 0.9, 0.9], dtype=torch.float64)
    with problem.open() as live:
        found = [live.value_and_jac(x, seed=1, adjoint=Adjoint(max_depth=depth)) for depth in (None, 3, 2, None)]
    values, jacs = zip(*found, strict=True)
    assert values[0] == values[1] == values[2] == values[3]
    assert torch.equal(jacs[2], torch.zeros(3, dtype=torch.float64))
    assert (jacs[0].abs() > 0).all()
    for other in (jacs[1], jacs[3]):
        torch.testing.assert_close(other, jacs[0], rtol=1e-4, atol=0.0)


@pytest.mark.render
def test_mug_is_not_and_the_result_says_why():
    problem = problems.Mug(size="tiny")
    res = invopt.minimize(problem, "autodiff", optimizers.Adam(lr=0.1), rng=0, maxiter=25)
    assert not res.success
    assert problem.parameter_error(res.x) > 0.5 * problem.parameter_error(problem.x0)
    assert "neglects the motion of edges and shadows" in res.message
    assert "rotation" in res.message


SCALAR = """
import torch
from invopt import problems
from invopt.exceptions import BackendError
problem = problems.Texture(size="tiny", backend="scalar")
with problem.open() as live:
    try:
        live.jac(torch.from_numpy(problem.x0), seed=1)
    except BackendError as error:
        assert "the scalar backend has no derivatives" in str(error)
    else:
        raise SystemExit("no error")
"""


@pytest.mark.render
def test_the_scalar_backend_has_no_derivative(program):
    done = program(SCALAR, env={**os.environ, "INVOPT_BACKEND": ""}, timeout=200)
    assert done.returncode == 0, done.stderr
