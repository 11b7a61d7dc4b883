"""Points on surfaces: where they are sampled, and which sides light reaches."""

import numpy as np
import pytest
from scipy.stats import binomtest

from invopt.problems import NeuralRadiosity
from invopt.rendering.descriptions import diffuse, rgb

from .walls import both_sides, room_camera, wall

# Of every test here.
ALPHA = 1e-7
COUNT = 2**14
TWO_SIDED = ("floor", "ceiling", "left", "right", "back", "front", "beyond")
AREAS = dict.fromkeys(TWO_SIDED, 4.0) | {"board": 0.16, "lamp": 0.36}
pytestmark = pytest.mark.render


def room_with_a_hole(hole=0.0):
    """A two-sided box, its front open by `hole` of its width; a wall of one side inside."""
    white = both_sides(diffuse(0.5, 0.5, 0.5))
    deep, up = (0, 0, 1), (0, 1, 0)
    lamp = wall((0, 0.9, 0), (0, -1, 0), deep, (0.3, 0.3), diffuse(0, 0, 0))
    return {
        "type": "scene",
        "sensor": room_camera((0, 0, 0.9), (0, 0, 0), 16),
        "floor": wall((0, -1, 0), up, deep, (1, 1), white),
        "ceiling": wall((0, 1, 0), (0, -1, 0), deep, (1, 1), white),
        "left": wall((-1, 0, 0), (1, 0, 0), up, (1, 1), white),
        "right": wall((1, 0, 0), (-1, 0, 0), up, (1, 1), white),
        "back": wall((0, 0, -1), deep, up, (1, 1), white),
        "front": wall((-hole, 0, 1), (0, 0, -1), up, (1 - hole, 1), white),
        "board": wall((0, 0, 0), deep, up, (0.2, 0.2), diffuse(0.5, 0.5, 0.5)),
        "lamp": lamp | {"emitter": {"type": "area", "radiance": rgb(20, 20, 20)}},
        # Outside, where the light gets to through the hole only.
        "beyond": wall((0, 0, 3), (0, 0, -1), up, (1, 1), white),
    }


def drawn(scene, **options):
    """Shape, visible side and view cosine of each point; lit shares of the faces."""
    import mitsuba as mi

    from invopt.problems.radiosity.transport.points import lit_shares

    given = {"preset": "paper", "field": "tiny", "n_points": 64, "n_directions": 2, "sampling": "nee"} | options
    with NeuralRadiosity(scene, **given).open() as live:
        scene = live.transport.scene
        point = live.transport.points(COUNT, 1)
        names = np.full(COUNT, "", dtype="U8")
        for shape in scene.shapes():
            names[np.array(point.shape == mi.ShapePtr(shape))] = shape.id()
        cosine = np.array(point.wi.z)
        lit = dict(zip([shape.id() for shape in scene.shapes()], lit_shares(scene), strict=True))
    return names, cosine > 0, np.abs(cosine), lit


def assert_share(hits, share):
    assert binomtest(int(hits.sum()), len(hits), share).pvalue > ALPHA, (hits.mean(), share)


def test_both_faces_alike_and_every_direction():
    names, front, cosine, _ = drawn(room_with_a_hole())
    one_sided = (names == "board") | (names == "lamp")
    assert_share(front[~one_sided], 0.5)
    assert front[one_sided].all()
    for name, area in AREAS.items():
        assert_share(names == name, area / sum(AREAS.values()))
    assert_share(cosine < 0.3, 0.3)


@pytest.mark.parametrize(("hole", "density"), [(0.0, 0.02), (0.0, 0.3), (0.2, 0.01)])
def test_dark_faces_have_fewer(hole, density):
    """Faces outside a closed room are dark, unless the room has a hole."""
    names, front, cosine, lit = drawn(room_with_a_hole(hole), dark_density=density)
    areas = AREAS | {"front": AREAS["front"] * (1 - hole)}
    faces = {name: np.maximum(lit[name], density) for name in areas}
    weights = {name: areas[name] * (faces[name].mean() if name in TWO_SIDED else faces[name][0]) for name in areas}
    for name, weight in weights.items():
        assert_share(names == name, weight / sum(weights.values()))
    for name in TWO_SIDED:
        assert_share(front[names == name], faces[name][0] / faces[name].sum())
    floor = names == "floor"
    assert_share(cosine[floor & front] < 0.3, 0.3)
    assert_share(cosine[~front] < 0.3, 0.3)


def test_which_views_are_lit():
    lit = drawn(room_with_a_hole())[-1]
    for name in ("floor", "ceiling", "left", "right", "back", "front"):
        inside, outside = lit[name]
        assert inside > 0.9
        # A ray may slip through where walls meet.
        assert outside < 0.02
    assert lit["beyond"].max() == 0
    assert lit["lamp"][0] == 1
    assert lit["lamp"][1] < 0.02
    through = drawn(room_with_a_hole(0.2))[-1]
    assert through["beyond"][0] > 0.9
    assert through["beyond"][1] == 0
