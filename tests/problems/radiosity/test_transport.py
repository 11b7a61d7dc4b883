"""The right side of path-traced light equals path tracing with one more bounce."""

import numpy as np
import pytest

from invopt.problems import NeuralRadiosity
from invopt.rendering.descriptions import diffuse, rgb
from invopt.testing import assert_mean

from .walls import both_sides, room_camera, wall

FAMILY = 1e-6
N_POINTS, M = 2**14, 4
# Towards the viewer, before a surface.
STEP = 1e-3
pytestmark = pytest.mark.render


def waves(shape=(16, 16, 3), low=0.2, high=0.8):
    return low + (high - low) * np.random.default_rng(1).random(shape).astype(np.float32)


def bitmap(pixels):
    return {"type": "bitmap", "raw": True, "bitmap": pixels}


def textured():
    checks = {"type": "checkerboard", "color0": rgb(0.1, 0.2, 0.7), "color1": rgb(0.8, 0.7, 0.2)}
    return checks | {"to_uv": np.diag([6.0, 3.0, 1.0, 1.0])}


def ball(x, y, z, bsdf, radius=0.22):
    return {"type": "sphere", "center": [x, y, z], "radius": radius, "bsdf": bsdf}


def furnished(shiny=False):
    """A room of two-sided walls with two lamps and an object of each material.

    One lamp is textured. With `shiny` there are specular objects too, one of which emits light.
    """
    up, deep = (0, 1, 0), (0, 0, 1)
    white, waved = both_sides(diffuse(0.8, 0.8, 0.8)), both_sides({"type": "diffuse", "reflectance": bitmap(waves())})
    brushed = {"type": "roughconductor", "alpha_u": 0.1, "alpha_v": 0.6, "specular_reflectance": textured()}
    dents = {"type": "normalmap", "normalmap": bitmap(waves() * np.float32([0.4, 0.4, 0]) + np.float32([0.4, 0.4, 1]))}
    bumps = {"type": "bumpmap", "arbitrary": bitmap(waves((8, 8, 1))), "scale": 0.2}
    scene = {
        "type": "scene",
        "sensor": room_camera((0, 0, 0.9), (0, 0, 0), 16),
        "floor": wall((0, -1, 0), up, deep, (1, 1), both_sides(brushed)),
        "ceiling": wall((0, 1, 0), (0, -1, 0), deep, (1, 1), white),
        "back": wall((0, 0, -1), deep, up, (1, 1), waved),
        "front": wall((0, 0, 1), (0, 0, -1), up, (1, 1), white),
        "left": wall((-1, 0, 0), (1, 0, 0), up, (1, 1), both_sides(dents | {"bsdf": diffuse(0.8, 0.8, 0.8)})),
        # Half a wall: light enters a second chamber and returns from there.
        "right": wall((1, -0.4, 0), (-1, 0, 0), up, (1, 0.6), white),
        "beyond": wall((2, 0, 0), (-1, 0, 0), up, (1, 1), waved),
        "plastic": ball(-0.6, -0.7, 0, {"type": "roughplastic", "alpha": 0.1, "diffuse_reflectance": textured()}),
        "bumps": ball(0, -0.7, 0, bumps | {"bsdf": diffuse(0.6, 0.6, 0.6)}),
        "checks": ball(0.6, -0.7, 0, {"type": "diffuse", "reflectance": textured()}),
        "milk": ball(0.4, 0.4, 0.4, {"type": "roughdielectric", "alpha": 0.3}),
        "disk": {"type": "disk", "to_world": _pose((0, 0.3, -0.8), 0.3), "bsdf": waved},
        "lamp": _lamp((0, 0.95, 0), (0, -1, 0), rgb(5, 4, 3), white),
        "screen": _lamp((-0.5, 0, -0.95), deep, bitmap(5 * waves()), white),
    }
    if shiny:
        scene["glass"] = ball(-0.4, 0.4, 0.4, {"type": "dielectric"})
        scene["mirror"] = _lamp((0.95, -0.3, 0), (-1, 0, 0), rgb(5, 5, 5), {"type": "conductor", "material": "Al"})
    return scene


def _pose(middle, size):
    pose = np.diag([size, size, size, 1.0])
    pose[:3, 3] = middle
    return pose


def _lamp(middle, facing, radiance, bsdf):
    return wall(middle, facing, (0, 0, 1) if facing[1] else (0, 1, 0), (0.3, 0.3), bsdf) | {
        "emitter": {"type": "area", "radiance": radiance}
    }


def opened(scene, sampling, **options):
    problem = NeuralRadiosity(
        scene, preset="paper", field="tiny", n_points=N_POINTS, n_directions=M, sampling=sampling, **options
    )
    return problem.open()


def seen_again(transport, query):
    """Short rays to the points of a query from the viewer's side, and their hits."""
    import mitsuba as mi

    low, extent = transport.box
    at = low[:, None] + extent[:, None] * query.position.numpy().astype(np.float64)
    towards = query.direction.numpy().astype(np.float64)
    ray = mi.Ray3f(mi.Point3f(*(at + STEP * towards).astype(np.float32)), mi.Vector3f(*(-towards).astype(np.float32)))
    return ray, transport.scene.ray_intersect(ray)


def reflected(transport, query, depth, seed):
    """Path-traced reflected light of a query, one path each, shape (3, k), and its hits."""
    import drjit as dr
    import mitsuba as mi

    ray, point = seen_again(transport, query)
    integrator = mi.load_dict({"type": "path", "max_depth": depth, "rr_depth": 1000})
    sampler = mi.load_dict({"type": "independent"})
    sampler.seed(seed, dr.width(ray))
    found, _, _ = integrator.sample(transport.scene, sampler, ray)
    found -= point.emitter(transport.scene).eval(point)
    return np.array(found, dtype=np.float64), np.array(dr.abs(point.t - STEP) < STEP / 2)


def assert_bounces_more(scene, sampling, depth, bounces=1, traced=None):
    """Assert that the right side of paths of length `depth` is that of longer paths.

    On all points, and on light and dark points apart: a misplaced texture is right on average.
    """
    with opened(scene, sampling, bounces=bounces) as live:
        point = live.transport.points(N_POINTS, 1)
        incident = live.transport.incident(point, M, 2)
        light, met = reflected(live.transport, incident.query, depth, 3)
        weight = incident.weight.double().numpy()
        terms = weight * light + (incident.known + incident.direct).double().numpy()
        right = terms.reshape(3, N_POINTS, M).mean(2)
        query, _, _ = live.transport.query(point)
        left, here = zip(
            *(reflected(live.transport, query, depth + (traced or bounces), 10 + i) for i in range(M)), strict=True
        )
    # In a corner a short ray may hit another surface; that depends on the points only.
    kept = here[0] & (met | (weight.max(0) == 0)).reshape(N_POINTS, M).all(1)
    assert kept.mean() > 0.95
    difference = (right - np.mean(left, axis=0)).T[kept]
    albedo = query.albedo.double().numpy().T[kept]
    assert_mean(np.hstack([difference, difference * (albedo - albedo.mean(0))]), 0.0, alpha=FAMILY / 10)


@pytest.mark.parametrize(("sampling", "depth"), [("uniform", 1), ("bsdf", 4), ("nee", 4)])
def test_one_bounce_more(sampling, depth):
    assert_bounces_more(furnished(), sampling, depth)


@pytest.mark.parametrize(("sampling", "bounces"), [("uniform", 2), ("bsdf", 3), ("nee", 3)])
def test_several_bounces_more(sampling, bounces):
    assert_bounces_more(furnished(), sampling, 1, bounces)


def test_a_bounce_too_few_shows():
    with pytest.raises(AssertionError, match="standard errors"):
        assert_bounces_more(furnished(), "nee", 1, bounces=2, traced=3)


@pytest.mark.parametrize(("sampling", "bounces"), [("bsdf", 1), ("nee", 1), ("nee", 2)])
def test_one_bounce_more_through_glass_and_mirrors(sampling, bounces):
    # Specular surfaces count as bounces there and not here: paths long enough that none is missed.
    assert_bounces_more(furnished(shiny=True), sampling, 30, bounces)


def test_points_are_what_a_ray_meets_there():
    """Texture coordinates and tangents too: textures, brushed metal and bumps depend on them."""
    import drjit as dr

    with opened(furnished(), "bsdf") as live:
        point = live.transport.points(N_POINTS, 1)
        query, _, _ = live.transport.query(point)
        _, met = seen_again(live.transport, query)
        same = np.array((dr.abs(met.t - STEP) < STEP / 2) & (point.shape == met.shape))
        assert same.mean() > 0.98
        # Almost: a texel's edge may lie between.
        for found, expected in ((point.uv, met.uv), (point.dp_du, met.dp_du), (point.sh_frame.n, met.sh_frame.n)):
            apart = np.abs(np.array(found) - np.array(expected)).max(0)
            assert (apart[same] < 1e-2).mean() > 0.99
