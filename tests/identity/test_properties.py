"""Every property type of Mitsuba's parser is part of a scene's identity."""

import numpy as np
import pytest

from invopt import IdentityError
from invopt.core.identity import digest
from invopt.rendering.backend import activate
from invopt.rendering.reading.dictionaries import as_description
from invopt.rendering.reading.loading import Blueprint
from invopt.rendering.reading.scene_identity import scene_content

pytestmark = pytest.mark.render

HEAD = '<scene version="3.0.0"><sensor type="perspective"/><emitter type="point">'
LOOK = '<transform name="t"><lookat origin="{}" target="{}" up="{}"/></transform>'
# Each a text, and texts with one component changed.
KINDS = {
    "boolean": ('<boolean name="a" value="true"/>', '<boolean name="a" value="false"/>'),
    "integer": ('<integer name="a" value="3"/>', '<integer name="a" value="4"/>'),
    "float": ('<float name="a" value="0.1"/>', '<float name="a" value="0.10000000000000002"/>'),
    "integer or float": ('<integer name="a" value="3"/>', '<float name="a" value="3"/>'),
    "string": ('<string name="a" value="b"/>', '<string name="a" value="c"/>'),
    "colour": tuple(
        f'<rgb name="a" value="{text}"/>' for text in ("0.5 0.5 0.5", "0.6 0.5 0.5", "0.5 0.6 0.5", "0.5 0.5 0.6")
    ),
    "point": tuple(f'<point name="a" value="{text}"/>' for text in ("1 2 3", "0 2 3", "1 0 3", "1 2 0")),
    "vector": tuple(f'<vector name="a" value="{text}"/>' for text in ("1 2 3", "0 2 3", "1 0 3", "1 2 0")),
    "uniform spectrum": ('<spectrum name="a" value="1.5"/>', '<spectrum name="a" value="2.5"/>'),
    "spectrum": tuple(
        f'<spectrum name="a" value="{text}"/>'
        for text in (
            "400:1, 500:2, 700:3",
            "410:1, 500:2, 700:3",
            "400:1, 510:2, 700:3",
            "400:1, 500:2, 710:3",
            "400:0, 500:2, 700:3",
            "400:1, 500:2.5, 700:3",
            "400:1, 500:2, 700:4",
            "400:1, 500:2, 600:2, 700:3",
        )
    ),
    "matrix": tuple(
        f'<transform name="a"><matrix value="{" ".join(map(str, row))}"/></transform>'
        for row in [np.eye(4).ravel(), *(np.eye(4).ravel() + (np.arange(16) == i) * 0.5 for i in range(12))]
    ),
    "look at": tuple(
        LOOK.format(*texts)
        for texts in (("0,0,5", "0,0,0", "0,1,0"), ("0,1,5", "0,0,0", "0,1,0"), ("0,0,5", "0,0,0", "1,1,0"))
    ),
    "translate": tuple(
        f'<transform name="a"><translate value="{text}"/></transform>' for text in ("1 2 3", "0 2 3", "1 0 3", "1 2 0")
    ),
}


def of_text(path, text):
    path.write_text(f"{HEAD}{text}</emitter></scene>")
    return digest(scene_content(Blueprint(description=path, variables={})))


def of(held):
    """Digest of a scene whose sphere holds something under the name "held"."""
    scene = {"type": "scene", "sensor": {"type": "perspective"}, "part": {"type": "sphere", "held": held}}
    return digest(scene_content(Blueprint(description=lambda: scene, variables={})))


@pytest.fixture(autouse=True)
def _backend():
    activate()


@pytest.mark.parametrize("texts", KINDS.values(), ids=KINDS)
def test_of_a_file(texts, tmp_path):
    found = [of_text(tmp_path / "scene.xml", text) for text in texts]
    assert len(set(found)) == len(texts)
    assert of_text(tmp_path / "scene.xml", texts[0]) == found[0]


def test_spectra_of_files(tmp_path):
    found = []
    for text in ("400 1\n500 2\n700 3\n", "400 1\n500 2.5\n700 3\n", "400 1\n510 2\n700 3\n"):
        (tmp_path / "lamp.spd").write_text(text)
        found.append(of_text(tmp_path / "scene.xml", '<spectrum name="a" filename="lamp.spd"/>'))
    assert len(set(found)) == 3


def test_files_that_are_included(tmp_path):
    found = []
    for green in (0.5, 0.6):
        (tmp_path / "part.xml").write_text(
            f'<scene version="3.0.0"><bsdf type="diffuse" id="m"><rgb name="reflectance" value="0.5 {green} 0.5"/>'
            f"</bsdf></scene>"
        )
        found.append(of_text(tmp_path / "scene.xml", '</emitter><include filename="part.xml"/><emitter type="point">'))
    assert found[0] != found[1]


def test_of_a_dictionary():
    def described(green=0.5, y=0.0, values=(1.0, 2.0, 3.0)):
        lamp = {"type": "spectrum", "value": list(zip((400, 500, 700), values, strict=True))}
        color = {"type": "rgb", "value": [0.5, green, 0.5]}
        return as_description(
            {
                "type": "scene",
                "sensor": {"type": "perspective", "to_world": np.eye(4)},
                "part": {"type": "sphere", "bsdf": {"type": "diffuse", "reflectance": color}},
                "lamp": {"type": "point", "position": [0, y, 3], "intensity": lamp},
            }
        )

    cases = [described(), described(green=0.6), described(y=1.0), described(values=(1.0, 2.5, 3.0))]
    found = [digest(scene_content(Blueprint(description=case, variables={}))) for case in cases]
    assert len(set(found)) == 4


def arrays(kind):
    """Mitsuba objects that differ in one number."""
    import mitsuba as mi

    rows = [[1.0, 2.0, 3.0], [0.0, 2.0, 3.0], [1.0, 0.0, 3.0], [1.0, 2.0, 0.0]]
    if kind == "tensor":
        return [mi.TensorXf(np.array([row, row], dtype=np.float32)) for row in rows] + [mi.TensorXf(np.ones((3, 2)))]
    if kind == "bitmap":
        return [mi.Bitmap(np.array([[row]], dtype=np.float32)) for row in rows]
    if kind == "gamma of a bitmap":
        pictures = [mi.Bitmap(np.ones((2, 2, 3), dtype=np.float32)) for _ in range(2)]
        pictures[1].set_srgb_gamma(True)
        return pictures
    if kind == "volume":
        return [mi.VolumeGrid(np.array([[[row]], [[row]]], dtype=np.float32)) for row in rows]
    if kind == "point of the variant":
        return [mi.Point3f(row) for row in rows]
    if kind == "point of two":
        return [mi.ScalarPoint2f(1, 2), mi.ScalarPoint2f(0, 2), mi.ScalarPoint2f(1, 0)]
    if kind == "transform of the variant":
        return [mi.Transform4f().translate(mi.Point3f(row)) for row in rows]
    return [mi.ScalarTransform4f().scale(row) for row in rows[:1]] + [mi.ScalarTransform4f().rotate([0, 1, 0], 5)]


@pytest.mark.parametrize(
    "kind",
    [
        "tensor",
        "bitmap",
        "gamma of a bitmap",
        "volume",
        "point of the variant",
        "point of two",
        "transform of the variant",
        "transform",
    ],
)
def test_objects_and_arrays(kind):
    found = [of(item) for item in arrays(kind)]
    assert found == [of(item) for item in arrays(kind)]
    assert len(set(found)) == len(found)


def test_what_an_object_does_not_tell_is_refused():
    import mitsuba as mi

    for made in (
        mi.load_dict({"type": "plastic", "nonlinear": True}),
        mi.load_dict({"type": "cube", "bsdf": {"type": "plastic"}}),
        mi.load_dict({"type": "cube", "emitter": {"type": "area"}}),
    ):
        with pytest.raises(IdentityError, match=r"'held' of the scene.*identity='\.\.\.'"):
            of(made)


def test_no_kind_of_property_is_forgotten():
    import mitsuba as mi

    from invopt.rendering.reading import scene_properties as properties

    assert set(mi.Properties.Type.__members__) == set(properties._READERS)
