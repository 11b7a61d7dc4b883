"""One unknown that several parameters share."""

import numpy as np
import pytest
import torch

import invopt
from invopt import problems
from invopt.exceptions import SceneError
from invopt.rendering import Color, Custom, Value

from .rooms import room

KEYS = ("ball.bsdf.reflectance", "box.bsdf.reflectance")


@pytest.mark.render
def test_two_objects_of_one_color(tmp_path):
    problem = problems.Scene(room, parameters=Color(KEYS[0], also=KEYS[1]), x_opt=[0.3, 0.4, 0.2], spp=64)
    apart = problems.Scene(room, parameters=[Color(key) for key in KEYS], x_opt=[0.3, 0.4, 0.2] * 2, spp=64)
    assert problem.names == tuple(f"{KEYS[0]}.{c}" for c in "rgb")
    x = torch.tensor([0.5, 0.6, 0.1], dtype=torch.float64)
    with problem.open() as live:
        picture = live.image(x, seed=1)
        exact = None
        if invopt.rendering.activate().value != "scalar":
            exact = live.value_and_jac(x, seed=1)[1]
    with apart.open() as live:
        np.testing.assert_array_equal(live.image(x.repeat(2), seed=1), picture)
        if exact is not None:
            both = live.value_and_jac(x.repeat(2), seed=1)[1]
            torch.testing.assert_close(exact, both[:3] + both[3:], rtol=1e-3, atol=1e-6)
    problem.save(x, tmp_path / "found.xml")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Color(KEYS[0], also=3), "'int' object is not iterable|'also' must be names"),
        (lambda: Color(KEYS[0], also=[""]), "'also' must be names of parameters"),
        (lambda: Color(KEYS[0], also=KEYS), "'also' must be names that differ"),
        (lambda: Custom("c", function=lambda x: {"a": x}, x0=[1.0], also="b"), "'also' must be left out: 'function'"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_a_parameter_has_one_binding():
    with pytest.raises(SceneError, match="two bindings set 'box.bsdf.reflectance'"):
        problems.Scene(room, parameters=[Color(KEYS[0], also=KEYS[1]), Color(KEYS[1])], x_opt=[0.5] * 6)


@pytest.mark.render
def test_a_parameter_of_another_shape():
    problem = problems.Scene(room, parameters=Value("bulb.intensity", log=True, also="ball.to_world"), x_opt=[0.0])
    with pytest.raises(SceneError, match="takes 16 numbers"):
        problem.open()
