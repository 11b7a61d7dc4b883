"""Settings that a room gets which nobody prepared: points, field, loss, rate; and the papers' by name."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

import invopt
from invopt import BudgetDecay, optimizers
from invopt.problems import NeuralRadiosity
from invopt.problems.radiosity import Field, RelativeL2, Tweedie
from invopt.problems.radiosity.scenes import cornell_box, gap_room
from invopt.rendering.descriptions import diffuse, look_at

from .trainings import small

# Of every test here.
ALPHA = 1e-7
COUNT = 2**14
pytestmark = pytest.mark.render


def meadow():
    """The Cornell box on a ground of 400 x 400, which has nearly all of the area."""
    pose = look_at((0, -1.001, 0), (0, 0, 0), (0, 0, 1)) @ np.diag([200.0, 200.0, 1.0, 1.0])
    return cornell_box() | {"ground": {"type": "rectangle", "to_world": pose, "bsdf": diffuse(0.5, 0.5, 0.5)}}


def blind():
    scene = gap_room()
    del scene["sensor"]
    return scene


def looks_away():
    scene = gap_room()
    scene["sensor"]["to_world"] = look_at((9, 0, 0), (10, 0, 0), (0, 1, 0))
    return scene


def quick(scene="gap-room", **options):
    return NeuralRadiosity(
        scene, **({"field": "tiny", "n_points": 64, "encoder": "torch", "energy_check": False} | options)
    )


def test_presets():
    rooms, paper = NeuralRadiosity(), NeuralRadiosity(preset="paper")
    assert (rooms.n_points, rooms.n_directions, rooms.sampling, rooms.sides) == (1024, 4, "nee", "reflected")
    assert (rooms.loss, rooms.points, rooms.bounces) == (Tweedie(p=1.5), "views", 1)
    assert rooms.field == Field(output="exp", reflection=True, demodulated=True)
    assert rooms.default_method == optimizers.Adam(lr=BudgetDecay(5e-3, ratio=1 / 27))
    assert (paper.n_points, paper.n_directions, paper.sampling, paper.sides) == (2**14, 32, "bsdf", "outgoing")
    assert (paper.loss, paper.points) == (RelativeL2(), "area")
    assert paper.field == Field(output="linear", reflection=False, demodulated=False)
    assert paper.default_method == optimizers.Adam(lr=invopt.StepDecay(5e-4))
    # What is given counts, whatever the preset.
    assert NeuralRadiosity(preset="paper", field=Field(), loss="l2").field == Field()
    assert NeuralRadiosity(preset="paper", loss="l2", field={"output": "exp"}).field.output == "exp"
    assert NeuralRadiosity(field="paper").field == Field.paper()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"preset": "papers"}, invopt.UnknownNameError, "unknown preset 'papers'; did you mean 'paper'"),
        ({"preset": 3}, TypeError, "'preset' must be one of rooms, paper"),
        ({"points": "view"}, ValueError, "'points' must be one of"),
        ({"sensors": []}, ValueError, "'sensors' must be at least one camera"),
        ({"sensors": [-1]}, ValueError, "'sensors' must be numbers >= 0"),
        ({"sensors": ["front"]}, TypeError, "'sensors' must be an integer"),
        ({"points": "area", "sensors": 0}, ValueError, "'sensors' are for points='views' only"),
        ({"box": 3}, ValueError, "'box' must be two vectors"),
        ({"box": ([0, 0, 0], [1, 0, 1])}, ValueError, "'box' must be of a size > 0"),
        ({"loss": Tweedie, "field": "tiny"}, TypeError, "'loss' must be"),
    ],
)
def test_bad_settings(options, error, message):
    with pytest.raises(error, match=message):
        NeuralRadiosity("gap-room", **options)


def test_bad_powers():
    with pytest.raises(ValueError, match="'p' must be <= 2"):
        Tweedie(p=3)


def test_what_is_known_to_diverge_is_said():
    with pytest.warns(UserWarning, match="known to diverge"):
        NeuralRadiosity("gap-room", loss="relative-l2")


def test_points_are_where_the_camera_looks():
    """A quarter of the points is by area, nearly all of which is the ground's; the others are in the box."""
    with quick(meadow).open() as live:
        point = live.transport.points(COUNT, 1)
        inside = np.abs(np.array(point.p)[[0, 2]]).max(0) < 1.1
        _, extent = live.transport.box
    # The camera sees a part of the ground beside the box.
    assert binomtest(int(inside.sum()), COUNT, 0.75, alternative="greater").pvalue > ALPHA
    assert inside.mean() > 0.5
    assert (extent < 150).all()
    with quick(meadow, points="area").open() as live:
        point = live.transport.points(COUNT, 1)
        assert (np.abs(np.array(point.p)[[0, 2]]).max(0) < 1.1).mean() < 0.01
        assert live.transport.box[1].max() == pytest.approx(400, rel=1e-3)


def test_points_are_seen_from_where_cameras_are():
    """Of three reflections each happens with probability 1/2: an eighth of the points is seen from the camera."""
    eye = np.array([-0.55, 0.1, 0.97])
    with quick().open() as live:
        point, found = live.transport._points.seen(live.transport.seeded(3, COUNT))
        p, w, found = (np.array(v).T for v in (point.p, point.to_world(point.wi), found))
        towards = (eye - p) / np.linalg.norm(eye - p, axis=1, keepdims=True)
        first = (towards * w).sum(1) > 1 - 1e-5
    assert found.all()
    assert binomtest(int(first.sum()), COUNT, 0.5**3).pvalue > ALPHA


def test_cameras_of_ones_own():
    """Points follow a path of cameras; those of the scene do not matter then."""
    from invopt.problems.radiosity.pictures.camera_path import path_between

    stops = [((1.5, 0.2, 0.9), (1.5, 0.2, 0)), ((1.4, 0.2, 0.9), (1.6, 0.2, 0))]
    with quick(sensors=list(path_between(stops, 3, fov=60, width=8, height=8))).open() as live:
        x = np.array(live.transport._points.seen(live.transport.seeded(3, COUNT))[0].p)[0]
    with quick(sensors=0).open() as live:
        other = np.array(live.transport._points.seen(live.transport.seeded(3, COUNT))[0].p)[0]
    assert (x > 1).mean() > 0.8
    assert (other > 1).mean() < 0.3


@pytest.mark.parametrize(("scene", "said"), [(blind, "no camera"), (looks_away, "see no surface")])
def test_without_a_view_points_are_by_area(scene, said):
    with pytest.warns(UserWarning, match=f"{said}.*by area"):
        opened = quick(scene).open()
    with opened as live:
        np.testing.assert_allclose(live.transport.box[1], [3, 2, 2], atol=1e-5)
        assert live.sides(torch.zeros(live.problem.n), seed=1, step=0, differentiate_right=False).left.isfinite().all()


def test_a_given_box_is_used():
    with quick(box=([0, 0, 0], [4, 5, 6])).open() as live:
        np.testing.assert_array_equal(live.transport.box[1], [4, 5, 6])


def test_a_demodulated_field_knows_albedos():
    from invopt.problems.radiosity.fields.query import Query

    field = Field.tiny()
    weights = {name: torch.zeros(shape) for name, shape in field.shapes.items()}
    albedo = torch.tensor([[0.0, 1.0], [0.4, 1.2], [0.8, 0.5]])
    flat = torch.full((3, 2), 0.5)
    found = field(weights, Query(flat, flat, flat, albedo), field.encoding.lookup)
    torch.testing.assert_close(found, 0.95 * albedo.t().clamp(0, 1) + 0.05)


@pytest.mark.parametrize("p", [0.0, 1.0, 1.5, 2.0])
def test_derivative_of_tweedie_by_the_logarithm(p):
    """It is 2 (L - R) L^(1 - p), with which p = 1 balances the sum of errors."""
    y = torch.linspace(-2, 2, 9, dtype=torch.float64).unsqueeze(1).requires_grad_()
    right = torch.tensor([0.3], dtype=torch.float64)
    (pull,) = torch.autograd.grad(Tweedie(p=p, epsilon=1e-9).values(y.exp(), right).sum(), y)
    torch.testing.assert_close(pull, (2 * (y.exp() - right) * y.exp() ** (1 - p)).detach())


def test_the_rate_falls_over_the_budget():
    schedule = BudgetDecay(2.0, ratio=1 / 9)
    assert [schedule.at(7, 1.0, share) for share in (0.0, 0.5, 1.0, 2.0)] == pytest.approx([2, 10 / 9, 2 / 9, 2 / 9])
    assert BudgetDecay(ratio=0.5).at(3, 4.0, 1.0) == 2.0
    with pytest.raises(ValueError, match="for learning rates"):
        invopt.estimators.SharedSamples(sigma=schedule)
    rates = []

    class Noted(BudgetDecay):
        def _ratio_at_share(self, share):
            rates.append(super()._ratio_at_share(share))
            return rates[-1]

    for budget in ({"maxiter": 4}, {"maxfev": 60}):
        rates.clear()
        problem = invopt.problems.Function(fun=lambda x: float(x @ x), x0=[1.0], jac=lambda x: 2 * x)
        invopt.minimize(problem, "exact-derivative", optimizers.Adam(lr=Noted(1e-3)), gtol=0, xtol=0, **budget)
        assert rates[0] > rates[1] > rates[2]
        assert rates[0] <= 1


def test_an_interrupted_run_continues_at_its_rate(tmp_path):
    def interrupt(*, intermediate_result):
        if intermediate_result.nit == 3:
            raise KeyboardInterrupt

    path = tmp_path / "run.safetensors"
    whole = invopt.minimize(quick(), rng=3, maxiter=8)
    invopt.minimize(quick(), rng=3, maxiter=8, callback=interrupt, checkpoint=path)
    rest = invopt.minimize(quick(), maxiter=8, checkpoint=path)
    assert np.array_equal(whole.x, rest.x)
    with pytest.raises(invopt.CheckpointError, match="of another points"):
        invopt.minimize(quick(points="area"), maxiter=9, checkpoint=path)


def test_defaults_train(monkeypatch):
    """With no setting touched, a tiny field has most of its error behind it after a few steps."""
    res = invopt.minimize(small("furnace", preset="rooms", n_points=256), rng=1000, maxiter=60)
    assert math.isfinite(res.fun)
    assert res.history.fun[-10:].mean() < 0.2 * res.history.fun[:3].mean()
