"""Files of Mitsuba 0.6 as files of Mitsuba 3."""

import numpy as np
import pytest

from invopt import cli
from invopt.exceptions import SceneError
from invopt.rendering.reading.upgrade import upgrade

OLD = """<?xml version="1.0" encoding="utf-8"?>
<scene version="0.6.0">
    <!-- kept -->
    <integrator type="photonmapper">
        <integer name="maxDepth" value="8"/>
        <integer name="globalPhotons" value="1000"/>
    </integrator>
    <sensor type="perspective">
        <float name="fov" value="45"/>
        <transform name="toWorld"><lookAt target="0,0,0" origin="0,0,5" up="0,1,0"/></transform>
        <sampler type="halton"><integer name="sampleCount" value="4"/></sampler>
        <film type="ldrfilm">
            <integer name="width" value="16"/><integer name="height" value="12"/>
            <float name="gamma" value="2.2"/><rfilter type="gaussian"/>
        </film>
    </sensor>
    <bsdf type="roughdiffuse" id="paint">
        <srgb name="reflectance" value="#ff8000"/><float name="alpha" value=".2"/>
    </bsdf>
    <bsdf type="plastic" id="shiny"><float name="intIOR" value="1.4"/>
        <texture name="diffuseReflectance" type="checkerboard"><float name="uscale" value="4"/></texture>
    </bsdf>
    <bsdf type="roughconductor" id="gold"><string name="material" value="Au"/><string name="extEta" value="air"/></bsdf>
    <shape type="sphere"><ref id="paint"/></shape>
    <shape type="rectangle"><ref id="shiny"/><boolean name="flipNormals" value="false"/></shape>
    <shape type="cube"><ref id="gold"/></shape>
    <emitter type="constant"><spectrum name="radiance" value="1.0"/></emitter>
</scene>
"""


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "old.xml"
    path.write_text(OLD)
    return path


@pytest.mark.render
def test_an_upgraded_file_is_loaded_and_rendered(old, tmp_path):
    from invopt.rendering import activate

    found = upgrade(old, tmp_path / "new.xml")
    assert not found.left
    said = {str(note) for note in found.changes}
    assert {
        "line 4: integrator 'photonmapper' is 'path'",
        "line 6: globalPhotons of integrator 'path' is left out",
        "line 10: <lookAt> is <lookat>",
        "line 10: toWorld is to_world",
        "line 12: film 'ldrfilm' is 'hdrfilm'",
        "line 14: gamma of film 'hdrfilm' is left out",
        "line 17: bsdf 'roughdiffuse' is 'diffuse'",
        "line 20: intIOR is int_ior",
        "line 21: uscale are a transform, to_uv",
        "line 23: extEta of bsdf 'roughconductor' is left out",
    } <= said
    assert "<!-- kept -->" in (tmp_path / "new.xml").read_text()
    activate()
    import mitsuba as mi

    scene = mi.load_file(str(tmp_path / "new.xml"))
    assert np.isfinite(np.array(mi.render(scene, spp=1))).all()
    colour = mi.traverse(scene)["paint.reflectance.value"]
    # 128 / 255 of sRGB is 0.2159, linear.
    np.testing.assert_allclose(np.ravel(np.array(colour)), [1, 0.2159, 0], atol=1e-4)


def test_what_has_no_counterpart_is_left_and_named(old, tmp_path):
    old.write_text(OLD.replace('"roughdiffuse"', '"ward"').replace('value="air"', 'value="water"'))
    found = upgrade(old, tmp_path / "new.xml")
    left = [str(note) for note in found.left]
    assert left == [
        "line 17: Mitsuba 3 has no bsdf 'ward'",
        "line 23: extEta other than air: divide eta and k by it",
    ]
    assert 'type="ward"' in (tmp_path / "new.xml").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<scene version='0.6.0'>", "cannot be read: no element found"),
        ("<shape version='0.6.0'/>", "its root is <shape>"),
        ("<scene version='3.0.0'/>", "is of version 3.0.0 already"),
    ],
)
def test_files_that_are_refused(text, message, tmp_path):
    path = tmp_path / "old.xml"
    path.write_text(text)
    with pytest.raises(SceneError, match=message):
        upgrade(path, tmp_path / "new.xml")
    with pytest.raises(SceneError, match="must be another one"):
        upgrade(path, path)
    with pytest.raises(SceneError, match="cannot be read"):
        upgrade(tmp_path / "none.xml", path)


def test_command(old, tmp_path, monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["invopt", "scene", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, capsys.readouterr()

    code, (out, _) = run("--upgrade", old, tmp_path / "new.xml")
    assert not code
    assert "line 4: integrator 'photonmapper' is 'path'" in out
    assert "nothing is left for you" in out
    assert (tmp_path / "new.xml").exists()
    code, (_, error) = run("--upgrade", old)
    assert code == 2
    assert "'--upgrade' must be given with an old file and a new one" in error
