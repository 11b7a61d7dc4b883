"""Invalid scenes are refused when they are read, with what works instead."""

import math

import numpy as np
import pytest
import torch

from invopt.exceptions import InvoptError
from invopt.rendering import (
    CameraPose,
    Color,
    Custom,
    FieldOfView,
    Mesh,
    Pose,
    Rotation,
    Scale,
    Texels,
    Translation,
    Value,
)
from invopt.rendering.descriptions import rgb

from .odd_rooms import CORNERS, SECOND, SKY, SUN, scene, setting, smoke, textured, with_
from .rooms import SIZE

READ = {
    "a callable that builds nothing": (dict(description=lambda: None), "'scene' must build a dictionary: NoneType"),
    "an empty dictionary": (dict(description={}), "the scene has no sensor"),
    "a pose of zeros": (dict(description=with_(box={"type": "cube", "to_world": np.zeros((4, 4))})), "has no inverse"),
    "a pose of nan": (
        dict(description=with_(box={"type": "cube", "to_world": np.full((4, 4), math.nan)})),
        "no inverse",
    ),
    "a pose of 3x3": (dict(description=with_(box={"type": "cube", "to_world": np.eye(3)})), "to_world"),
    "a row of pixels": (dict(description=textured(bitmap=np.zeros(4))), r"a 'bitmap' of the scene must be .*\(4,\)"),
    "no pixels": (dict(description=textured(bitmap=np.zeros((0, 4, 3)))), r"a 'bitmap' of the scene .* \(0, 4, 3\)"),
    "pixels of nan": (dict(description=textured(bitmap=np.full((4, 4, 3), math.nan))), "must be finite: 48 numbers"),
    "pixels in words": (dict(description=textured(bitmap=np.full((4, 4, 3), "a"))), "must be real numbers"),
    "depth beside the colour": (
        dict(description=with_(integrator={"type": "aov", "aovs": "d:depth", "inner": {"type": "path"}})),
        r"the integrator adds .*d.T to its pictures, which no target has: use an integrator without them",
    ),
    "moments": (
        dict(description=with_(integrator={"type": "moment", "inner": {"type": "path"}})),
        "the integrator adds",
    ),
    "a spectral film": (
        dict(description=with_(sensor=SECOND | {"film": {"type": "specfilm", "width": 8, "height": 8}})),
        "the film 'specfilm' has no pictures of colour or luminance: use 'hdrfilm'",
    ),
    "a camera too many": (dict(sensors=1), "'sensors' must be below 1"),
    "more samples than numbers": (dict(spp=2**40), "cannot have 1099511627776 samples in each: at most 7456540"),
    "more samples of the target": (dict(reference_spp=2**40), "lower 'spp' or 'reference_spp'"),
    "a far light that is shifted": (
        dict(description=with_(sun=SUN), parameters=Translation("sun")),
        "'sun.translation' changes no picture: the light 'sun' is infinitely far away; use Rotation",
    ),
    "a far light that is scaled": (dict(description=with_(sun=SUN), parameters=Scale("sun")), "infinitely far away"),
    "a far light that is placed": (dict(description=with_(sun=SUN), parameters=Pose("sun")), "infinitely far away"),
    "a sky that is shifted": (dict(description=with_(sky=SKY), parameters=Translation("sky")), "infinitely far away"),
    "an even sky that is turned": (
        dict(description=with_(sky={"type": "constant"}), parameters=Rotation("sky", axis=(1, 0, 0))),
        "'sky' has no geometry to move",
    ),
    "a point light that is turned": (
        dict(parameters=Rotation("bulb", axis=(1, 0, 0))),
        "'bulb.rotation' changes no picture: the light 'bulb' is a point; use Translation, or give 'center'",
    ),
    "a point light that is scaled": (dict(parameters=Scale("bulb")), "the light 'bulb' is a point"),
    "a point light that is placed": (dict(parameters=Pose("bulb")), "the light 'bulb' is a point"),
    "a camera that is scaled": (dict(parameters=Scale("sensor")), "the camera 'sensor' has no size; use FieldOfView"),
    "the pose of a ball as a camera's": (dict(parameters=CameraPose("ball")), "'ball' is not a camera: use Pose"),
    "the pose of an unknown camera": (dict(parameters=CameraPose("cam")), "no object 'cam' that can move"),
    "the angle of an unknown camera": (dict(parameters=FieldOfView("cam")), "no parameter 'cam.x_fov'; did you mean"),
    "the pose of an idle camera": (
        dict(description=with_(zoom=SECOND), parameters=CameraPose("zoom")),
        "'zoom.pose' changes no picture: the camera 'zoom' is not among 'sensors'",
    ),
    "the angle of an idle camera": (dict(description=with_(zoom=SECOND), parameters=FieldOfView("zoom")), "no picture"),
    "the motion of a material": (dict(parameters=Translation("paint")), "no object 'paint' that can move"),
    "the motion of an emitter": (dict(parameters=Translation("lamp.emitter")), "has no geometry to move"),
    "texels of a volume": (
        dict(description=smoke, parameters=Texels("smoke.interior_medium.sigma_t")),
        r"is a volume grid of shape \(3, 3, 3, 1\), not a bitmap texture: use Numbers",
    ),
    "the colour of a volume": (
        dict(description=smoke, parameters=Color("smoke.interior_medium.sigma_t")),
        "not a colour: use Numbers",
    ),
    "the colour of a place": (
        dict(parameters=Color("bulb.position")),
        r"'bulb.position' is a point or a vector of shape \(3,\), not a colour: use Translation",
    ),
    "the value of a place": (dict(parameters=Value("bulb.position", log=True)), "is a point or a vector"),
    "the colour of a pose": (dict(parameters=Color("ball.to_world")), "is a transform .* use Translation, Rotation"),
    "texels of vertices": (dict(parameters=Texels("box.vertex_positions")), "is a buffer of numbers"),
    "the value of a flag": (
        dict(parameters=Value("allow_thread_reordering", log=True)),
        "is a flag.*no binding can set",
    ),
    "the value of a size": (dict(parameters=Value("sensor.film.size", log=True)), "is a flag, an integer or a text"),
    "a function that sets a flag": (dict(parameters=setting("allow_thread_reordering", 1.0)), "no binding can set"),
    "a function that sets nan": (
        dict(parameters=setting("paint.reflectance", [math.nan] * 3)),
        "'c' sets 'paint.reflectance' to values that are not finite, at its start",
    ),
    "light of nan": (
        dict(
            description=with_(bulb={"type": "point", "position": [0.0, 0, 2], "intensity": rgb(math.nan, 1.0, 1.0)}),
            parameters=Color("bulb.intensity"),
        ),
        "'bulb.intensity' is not finite in the scene: give its start in 'x_opt'",
    ),
    "a start in words": (dict(x0={"box.translation": "far"}), "'box.translation' takes 1 finite numbers: 'far'"),
    "a masked start": (dict(x0=np.ma.masked_less([0.1], 1)), "'x0' must have no masked elements"),
    "a masked value": (dict(x0={"box.translation": np.ma.masked_less([0.1], 1)}), "must have no masked elements"),
    "a number as start": (dict(x0=3.0), "'x0' must be a vector or a mapping of names to values: 3.0"),
}


@pytest.mark.render
@pytest.mark.parametrize("case", READ)
def test_refused_when_read(case):
    facts, message = READ[case]
    problem = scene(**facts)
    with pytest.raises((InvoptError, TypeError, ValueError), match=message) as caught:
        opened(problem)
    assert ".cpp" not in str(caught.value)
    assert "incompatible function arguments" not in str(caught.value)


def opened(problem):
    return problem.open(), problem.x0


@pytest.mark.render
def test_what_the_advice_says_works():
    """A volume by a function, and rotations of point, directional and spot lights."""
    spot = {"type": "spot", "intensity": rgb(9.0, 9.0, 9.0), "cutoff_angle": 30.0}
    for facts, x in [
        (dict(description=smoke, parameters=setting("smoke.interior_medium.sigma_t", lambda x: x.expand(27))), [3.0]),
        (dict(parameters=Rotation("bulb", axis=(0, 0, 1), center=(0, 0, 0))), [2.0]),
        (dict(description=with_(sun=SUN), parameters=Rotation("sun", axis=(1, 0, 0))), [2.0]),
        (dict(description=with_(spot=spot), parameters=Rotation("spot", axis=(1, 0, 0))), [6.0]),
        (
            dict(description=textured(bitmap=np.full((4, 4), 0.5)), parameters=Texels("picture.bsdf.reflectance")),
            [0.1] * 16,
        ),
    ]:
        problem = scene(**facts, loss="l1")
        with problem.open() as live:
            here, there = live.image(problem.x0, seed=1, spp=16), live.image(x, seed=1, spp=16)
        assert np.abs(here - there).max() > 1e-3


@pytest.mark.render
def test_a_function_that_leaves_the_numbers_is_a_failed_evaluation():
    """A pose of nan would hang the ray tracer."""

    def place(x):
        pose = torch.eye(4, dtype=x.dtype)
        pose[0, 3] = torch.log(x[0])
        return {"ball.to_world": pose}

    problem = scene(parameters=Custom("c", function=place, x0=[1.0]))
    with problem.open() as live:
        x = torch.tensor([[1.0], [-1.0], [0.0], [1.0]], dtype=torch.float64)
        values = live.fun(x, seed=np.array([1, 1, 1, 1]))
        assert values.isfinite().tolist() == [True, False, False, True]
        assert values[0] == values[3]
        with pytest.raises(ValueError, match="'x' and the parameters that it sets must be finite"):
            live.image([-1.0])


@pytest.mark.render
def test_a_vertex_that_no_face_uses_has_no_normal():
    mesh = Mesh(CORNERS, [[0, 1, 2]], CORNERS[:, :2])
    np.testing.assert_allclose(mesh.normals(), [[0, 0, 1]] * 3 + [[0, 0, 0]], atol=1e-12)
    problem = scene(with_(box={"type": "ply", "filename": mesh}), Translation("box"))
    with problem.open() as live:
        assert np.isfinite(live.image(problem.x0)).all()
        assert live.reference.shape == (SIZE, SIZE, 3)
