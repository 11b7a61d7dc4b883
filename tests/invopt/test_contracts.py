"""Registered classes pass the public contract checks; broken ones fail them."""

import attrs
import numpy as np
import pytest
import torch
from scipy import stats

from invopt import estimators, optimizers, problems, testing
from invopt.core.registry import BASES, find, kebab, names
from invopt.problems.scenes import picture_cache
from invopt.rendering import Color, Translation
from invopt.rendering.descriptions import camera, rgb


def registered(wing):
    classes = {cls for cls in names(wing).values() if cls.__module__.startswith("invopt.")}
    return sorted(classes, key=lambda cls: cls.__name__)


def small_room():
    return {
        "type": "scene",
        "sensor": camera(origin=[0, -3, 1], target=[0, 0, 0], fov=40, width=16, height=16),
        "ball": {"type": "sphere", "bsdf": {"type": "diffuse", "reflectance": rgb(0.8, 0.3, 0.2)}},
        "light": {"type": "constant"},
    }


def parabola(x):
    return float(x @ x)


# Classes without a default that could stand alone, and one made in its place.
MADE = {
    "Function": lambda: problems.Function(fun=lambda x: float(x @ x), x0=[1.0, 2.0]),
    "NeuralRadiosity": lambda: problems.NeuralRadiosity(
        "gap-room", preset="paper", field="tiny", n_points=64, n_directions=2
    ),
    "Scene": lambda: problems.Scene(
        small_room,
        parameters=[Translation("ball", axes="x"), Color("ball.bsdf.reflectance")],
        x_opt={"ball.translation": 0.3},
    ),
    "GreyBox": lambda: problems.GreyBox(
        torch.nn.Linear(2, 2), problems.Function(fun=parabola, x0=[1.0, 2.0]), np.eye(2)
    ),
    # Their defaults render for minutes.
    "MugCNN": lambda: problems.MugCNN(size="tiny", n_train=2, n_held_out=1, reference_spp=1),
    "MugCNN5": lambda: problems.MugCNN5(size="tiny", n_train=2, n_held_out=1, reference_spp=1),
    "Scipy": lambda: optimizers.Scipy("bfgs"),
    # A hundred evaluations are few generations of its usual population.
    "DifferentialEvolution": lambda: optimizers.DifferentialEvolution(popsize=4),
}
# Not picklable, for a reason.
UNPICKLABLE = {"Function"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(picture_cache.ENVIRONMENT, str(tmp_path))


def make(cls):
    return MADE.get(cls.__name__, cls)()


@pytest.mark.parametrize("check", testing.PROBLEM_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("cls", registered("problems"), ids=lambda c: c.__name__)
def test_problem(cls, check):
    problem = make(cls)
    if cls.__name__ in UNPICKLABLE and check.__name__ == "problem_describes_itself":
        problem = problems.Function(fun=np.sum, x0=[1.0, 2.0])
    check(problem)


@pytest.mark.parametrize("check", testing.ESTIMATOR_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("cls", registered("estimators"), ids=lambda c: c.__name__)
def test_estimator(cls, check):
    check(make(cls))


@pytest.mark.parametrize("check", testing.OPTIMIZER_CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("cls", registered("optimizers"), ids=lambda c: c.__name__)
def test_optimizer(cls, check):
    check(make(cls))


@pytest.mark.parametrize("wing", BASES)
def test_every_class_is_frozen_and_reprs_as_its_call(wing):
    for cls in registered(wing):
        item = make(cls)
        field = next(iter(attrs.fields_dict(cls)), None)
        if field is not None:
            with pytest.raises(attrs.exceptions.FrozenInstanceError):
                setattr(item, field, None)
        assert repr(item).startswith(f"{cls.__name__}(")
        assert find(wing, kebab(cls.__name__)) is cls


class Biased(estimators.FR22):
    def _sample(self, *args):
        estimate = super()._sample(*args)
        return attrs.evolve(estimate, jac=estimate.jac * 1.1)


class Miscounting(estimators.FR22):
    def cost(self, n):
        return 1


class Mutating(optimizers.GradientDescent):
    def step(self, x, estimate, state, oracle):
        x.sub_(0.01)
        return x, state


class Ascending(optimizers.GradientDescent):
    def step(self, x, estimate, state, oracle):
        return x + 0.01 * estimate.jac, state


class OffTarget(problems.Quadratic):
    @property
    def x_opt(self):
        return np.array([7.0, 0.0])

    def parameter_error(self, x):
        return 1.0


@pytest.mark.parametrize(
    ("item", "checks"),
    [
        (Biased(n_samples=8), testing.ESTIMATOR_CHECKS),
        (Miscounting(), testing.ESTIMATOR_CHECKS),
        (Mutating(), testing.OPTIMIZER_CHECKS),
        (Ascending(), testing.OPTIMIZER_CHECKS),
        (OffTarget(), testing.PROBLEM_CHECKS),
    ],
    ids=lambda item: type(item).__name__,
)
def test_the_checks_catch_what_is_broken(item, checks):
    failures = 0
    for check in checks:
        saved = testing.quadratic.START.clone()
        try:
            check(item)
        except AssertionError:
            failures += 1
        finally:
            testing.quadratic.START.copy_(saved)
    assert failures >= 1


def test_assert_mean_has_the_false_alarm_rate_it_states():
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(400):
        try:
            testing.assert_mean(rng.standard_normal((500, 3)), np.zeros(3), alpha=0.1)
        except AssertionError:
            alarms += 1
    low, high = stats.binom(400, 0.1).ppf([5e-5, 1 - 5e-5])
    assert low <= alarms <= high
