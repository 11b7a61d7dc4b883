"""What a scene offers is listed, with bindings that work."""

import numpy as np
import pytest
from typer.testing import CliRunner

import invopt.rendering
from invopt import problems
from invopt.cli import app
from invopt.rendering import explore

from .rooms import room

pytestmark = pytest.mark.render


@pytest.fixture(scope="module")
def found():
    return explore(room)


def test_objects_and_parameters(found):
    bindings = {offer.binding for offer in found.offers}
    assert {"Translation('ball')", "CameraPose('sensor')", "FieldOfView('sensor')", "Translation('bulb')"} <= bindings
    assert {"Color('ball.bsdf.reflectance')", "Texels('picture.bsdf.reflectance')"} <= bindings
    assert {"Color('lamp.emitter.radiance')", "Color('bulb.intensity')"} <= bindings
    (ball,) = (offer for offer in found.offers if offer.name == "ball.bsdf.reflectance.value")
    assert (ball.kind, ball.value) == ("material", "0.7, 0.2, 0.1")


def test_every_binding_can_be_copied(found):
    """A scene with each of them opens; a fresh name resolves what the text says."""
    names = {name: getattr(invopt.rendering, name) for name in invopt.rendering.__all__}
    copied = [eval(offer.binding, names) for offer in found.offers if offer.binding]  # noqa: S307 - our own text
    assert len(copied) >= 12
    with problems.Scene(room, parameters=copied, target=np.full((24, 24, 3), 0.3), spp=1).open() as live:
        assert np.isfinite(live.reference).all()


def test_the_map_has_the_numbers_of_the_shapes(found):
    numbers = {offer.name: offer.number for offer in found.offers if offer.kind == "shape"}
    assert found.map.shape == (24, 24)
    assert found.map[0, 0] == 0
    assert found.map[-1, -1] == numbers["floor"]
    rows, columns = np.nonzero(found.map == numbers["ball"])
    assert 9 <= rows.mean() <= 14
    assert 8 <= columns.mean() <= 12
    assert found.map[10, 17] == numbers["box"]
    import matplotlib.pyplot as plt

    texts = {text.get_text() for text in found.plot().texts}
    plt.close("all")
    assert texts == {str(number) for number in np.unique(found.map) if number > 0}


def test_a_notebook_shows_a_table(found):
    assert found._repr_html_().count("<tr>") == len(found.offers) + 1
    assert len(str(found).splitlines()) == len(found.offers) + 1


XML = """<scene version="3.0.0">
  <default name="glow" value="2"/>
  <sensor type="perspective"><film type="hdrfilm"><integer name="width" value="8"/></film></sensor>
  <shape type="sphere"><emitter type="area"><rgb name="radiance" value="$glow, 1, 1"/></emitter></shape>
</scene>
"""


def test_the_command(tmp_path):
    (tmp_path / "room.xml").write_text(XML)
    done = CliRunner().invoke(app, ["scene", str(tmp_path / "room.xml"), "--set", "glow=7"])
    assert done.exit_code == 0
    assert "7, 1, 1" in done.output
    assert "emitter.radiance')" in done.output
    done = CliRunner().invoke(app, ["scene", str(tmp_path / "room.xml"), "--set", "glow"])
    assert done.exit_code != 0
