"""Recorded renders give the bits of ordinary ones, after any change of the scene."""

import numpy as np
import pytest

from invopt.rendering.frozen import FrozenRender
from invopt.rendering.recorded import MOST_RECORDINGS, TRIALS, owned

pytestmark = pytest.mark.render


@pytest.fixture
def scene(mi):
    at = mi.ScalarTransform4f
    look = at().look_at([0, -4, 2], [0, 0, 0.3], [0, 0, 1])
    film = {"type": "hdrfilm", "width": 24, "height": 16, "rfilter": {"type": "box"}}
    texture = mi.Bitmap(np.random.default_rng(0).random((8, 8, 3)).astype(np.float32))
    up = at().look_at([-1, 1, 3], [0, 0, 0], [0, 0, 1])
    return mi.load_dict(
        {
            "type": "scene",
            "integrator": {"type": "path", "max_depth": 4},
            "sensor": {"type": "perspective", "fov": 45, "to_world": look, "film": film},
            "other": {"type": "perspective", "fov": 30, "to_world": look, "film": film},
            "floor": {
                "type": "rectangle",
                "to_world": at().scale(3),
                "bsdf": {"type": "diffuse", "reflectance": {"type": "bitmap", "bitmap": texture, "raw": True}},
            },
            "group": {"type": "shapegroup", "shape": {"type": "cube", "to_world": at().scale(0.3)}},
            "instance": {"type": "instance", "group": {"type": "ref", "id": "group"}},
            "cube": {
                "type": "cube",
                "to_world": at().translate([0.8, 0, 0.6]).scale(0.4),
                "bsdf": {"type": "roughplastic", "diffuse_reflectance": {"type": "rgb", "value": [0.3, 0.5, 0.2]}},
            },
            "sphere": {"type": "sphere", "center": [1, 0, 0.4], "radius": 0.3},
            "point": {"type": "point", "position": [1, -2, 3], "intensity": {"type": "rgb", "value": [9, 9, 9]}},
            "area": {
                "type": "rectangle",
                "to_world": up.scale(0.5) if hasattr(up, "scale") else up @ at().scale(0.5),
                "emitter": {"type": "area", "radiance": {"type": "rgb", "value": [5, 5, 5]}},
            },
        },
        optimize=False,
    )


def moved(mi, i):
    return mi.Transform4f(mi.ScalarTransform4f().translate([-0.3 * i, 0.1, 0.5]).rotate([0, 0, 1], 20 * i).scale(0.4))


def cube(mi, params, i):
    vertices = np.array(params["cube.vertex_positions"]).reshape(-1, 3)
    vertices[:, 0] += 0.05 * i
    return owned(mi.Float(vertices.ravel().astype(np.float32)))


CHANGES = {
    "instance.to_world": lambda mi, params, i: moved(mi, i),
    "sphere.to_world": lambda mi, params, i: moved(mi, i),
    "cube.vertex_positions": cube,
    "floor.bsdf.reflectance.data": lambda mi, params, i: mi.TensorXf(
        np.random.default_rng(i).random((8, 8, 3)).astype(np.float32)
    ),
    "cube.bsdf.diffuse_reflectance.value": lambda mi, params, i: mi.Color3f(0.1 * i, 0.5, 0.2),
    "cube.bsdf.alpha": lambda mi, params, i: mi.Float(0.1 + 0.1 * i),
    "area.emitter.radiance.value": lambda mi, params, i: mi.Color3f(1.0 + i),
    "point.position": lambda mi, params, i: mi.Point3f(1.0 - i, -2.0, 3.0),
    "point.intensity.value": lambda mi, params, i: mi.Color3f(5.0 + i),
    "sensor.to_world": lambda mi, params, i: mi.Transform4f(
        mi.ScalarTransform4f().look_at([0.3 * i, -4, 2], [0, 0, 0.3], [0, 0, 1])
    ),
    "sensor.x_fov": lambda mi, params, i: mi.Float(40.0 + i),
}


@pytest.mark.parametrize("key", CHANGES)
def test_the_bits_of_ordinary_renders(mi, scene, key):
    params, render = mi.traverse(scene), FrozenRender(scene)
    pictures = []
    for i in range(2 * TRIALS + 4):
        params[key] = CHANGES[key](mi, params, i)
        params.update()
        for spp, sensor in ((2, 0), (4, 0), (2, 1)):
            expected = np.array(mi.render(scene, sensor=sensor, spp=spp, seed=i + 1))
            picture = np.array(render(seed=i + 1, spp=spp, sensor=sensor))
            np.testing.assert_array_equal(picture, expected)
            pictures.append(picture)
    # Still recorded at the end, although the scene changed.
    assert render.program.recordings is not None
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


def test_all_of_them_one_after_the_other(mi, scene):
    params, render = mi.traverse(scene), FrozenRender(scene)
    rng = np.random.default_rng(0)
    for i in range(150):
        for key in rng.choice(list(CHANGES), 2, replace=False):
            params[str(key)] = CHANGES[str(key)](mi, params, i % 7)
        params.update()
        np.testing.assert_array_equal(
            np.array(render(seed=i, spp=2)), np.array(mi.render(scene, spp=2, seed=i)), err_msg=str(i)
        )
    assert render.program.recordings is not None


def test_memory_of_numpys_is_copied(mi):
    for value in (mi.Float([1.0, 2.0]), mi.UInt32([1, 2, 3]), mi.TensorXf(np.ones((2, 3), np.float32)), 2.5):
        copied = owned(value)
        assert type(copied) is type(value)
        np.testing.assert_array_equal(np.array(copied), np.array(value))
    pose = mi.Transform4f(mi.ScalarTransform4f())
    assert owned(pose) is pose


def test_a_difference_or_an_error_ends_the_recording(mi, scene):
    def fails(*_):
        raise RuntimeError("cannot be recorded")

    def old(scene, seed, spp, sensor):
        return mi.render(scene, spp=spp, seed=7)

    for broken in (fails, old):
        render = FrozenRender(scene)
        render.program._frozen = broken
        for seed in range(4):
            np.testing.assert_array_equal(
                np.array(render(seed=seed, spp=2)), np.array(mi.render(scene, spp=2, seed=seed))
            )
        assert render.program.recordings is None


def test_what_needs_a_new_recording_every_time_is_left(mi, scene):
    render = FrozenRender(scene)
    for spp in range(1, MOST_RECORDINGS + 4):
        render(seed=0, spp=spp)
        np.testing.assert_array_equal(np.array(render(seed=1, spp=spp)), np.array(mi.render(scene, spp=spp, seed=1)))
    assert render.program.recordings is None


def test_once_and_large_is_not_recorded(mi, scene):
    render = FrozenRender(scene)
    render(seed=0, spp=2)
    render(seed=0, spp=4)
    for seed in range(2):
        render(seed=seed, spp=4096)
    assert render.program.recordings == 0 or render._on_gpu
