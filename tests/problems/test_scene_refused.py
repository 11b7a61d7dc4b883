"""Invalid scenes are refused, with the reason."""

import numpy as np
import pytest

from invopt import problems
from invopt.exceptions import SceneError
from invopt.rendering import Translation

from .tiny_scenes import XML, room, scene


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"description": "nowhere.xml"}, "'nowhere.xml' does not exist"),
        ({"description": 3}, "'scene' must be an XML file, a dictionary or a callable"),
        ({"parameters": []}, "'parameters' must be at least one binding"),
        ({"parameters": ["ball"]}, "'parameters' must be bindings"),
        ({"target": None, "x_opt": None}, "give 'target', a picture, or 'x_opt'"),
        ({"target": np.ones((4, 4)), "sensors": [0, 1]}, "'target' must be 2 pictures"),
        ({"sensors": [-1]}, "'sensors' must be names of cameras, or numbers from 0"),
        ({"loss": "msee"}, "unknown loss 'msee'; did you mean 'mse'"),
        ({"loss": 3}, "'loss' must be a name"),
        ({"spp": 0}, "'spp' must be >= 1: 0"),
        ({"sigma": 0.0}, "'sigma' must be > 0"),
        ({"reference_seed": 5}, "'reference_seed' must be >= 2147483648"),
        ({"backend": "metal"}, "backend"),
    ],
)
def test_bad_input_at_construction(facts, message):
    with pytest.raises((TypeError, ValueError), match=message):
        scene(**facts)


def opened(**facts):
    problem = scene(**facts)
    return problem.open(), problem.x0


@pytest.mark.render
@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"sensors": [1]}, "'sensors' must be below 1"),
        ({"x0": {"bal": 1.0}}, "'x0' names no parameter 'bal'; known: ball"),
        ({"x_opt": {"ball.translation": (1.0, 2.0)}}, "'ball.translation' takes 1 finite numbers"),
        ({"x_opt": [1.0, 2.0]}, "'x_opt' takes 5 finite numbers"),
        ({"x0": {"ball.translation": 5.0}}, "'x0' must be inside the bounds"),
        ({"x_opt": {"ball.translation": 5.0}}, "'x_opt' must be inside the bounds"),
        ({"x_opt": {"lamp.intensity": 0.0}}, "'x_opt' must give 'lamp.intensity' a value > 0: 0.0"),
        ({"description": {k: v for k, v in room().items() if k != "sensor"}}, "the scene has no sensor"),
        ({"description": {k: v for k, v in room().items() if k != "lamp"}}, "the scene has no emitter"),
        ({"description": room() | {"odd": {"type": "nosuch"}}}, "could not be loaded: .*nosuch"),
        ({"description": room() | {"mesh": {"type": "ply", "filename": "no.ply"}}}, "could not be loaded: .*no.ply"),
        ({"description": room() | {"b": {"type": "sphere", "bsdf": {"type": "ref", "id": "wood"}}}}, "wood"),
        ({"description": {"type": "scene", "odd": {"type": 3}}}, "not a valid dictionary"),
    ],
)
def test_bad_input_at_opening(facts, message):
    with pytest.raises(ValueError, match=message) as caught:
        opened(**facts)
    assert ".cpp" not in str(caught.value)


@pytest.mark.render
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("</scene>", ""), "could not be read: .*mismatch"),
        (('type="cube"', 'type="ply"'), "could not be loaded: .*ply"),
        (("checks.exr", "stripes.exr"), "could not be loaded: .*stripes.exr"),
        (('<ref id="paint"/>', '<ref id="pain"/>'), "pain"),
        (("$width", "$breadth"), "breadth"),
    ],
)
def test_bad_xml(xml, change, message):
    xml.write_text(XML.replace(*change))
    with pytest.raises(SceneError, match=message):
        problems.Scene(xml, parameters=Translation("box"), x_opt=[0.0, 0.0, 0.0]).open()
