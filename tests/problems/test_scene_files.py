"""Scenes in files: read, and saved with the solved parameters."""

import math
import pickle
from pathlib import Path

import numpy as np
import pytest

import invopt
from invopt import problems
from invopt.exceptions import SceneError
from invopt.rendering import Color, FieldOfView, Rotation, Texels, Translation, Value, activate
from invopt.rendering.descriptions import diffuse, look_at, rgb
from invopt.rendering.reading import dictionaries, saving

from .tiny_scenes import HEIGHT, room, scene, write


def _ground(texture):
    import mitsuba as mi

    bsdf = {"type": "diffuse", "reflectance": texture}
    return {"type": "rectangle", "to_world": mi.ScalarTransform4f(np.diag([4.0, 4, 1, 1])), "bsdf": bsdf}


@pytest.mark.render
def test_the_call_of_the_readme(xml, tmp_path):
    """An XML file, a picture, four unknowns; the answer by name in scene units; the solved scene written."""
    parameters = [
        Translation("box", axes="xy", bounds=(-2, 2)),
        Rotation("box", axis=(0, 0, 1), unit=20),
        Color("paint.reflectance"),
        Value("lamp.intensity", log=True),
    ]
    answer = {
        "box.translation": (0.2, -0.1),
        "box.rotation": 15.0,
        "paint.reflectance": (0.3, 0.5, 0.7),
        "lamp.intensity": 12.0,
    }
    truth = problems.Scene(xml, parameters=parameters, x_opt=answer, reference_spp=256)
    with truth.open() as live:
        photo = live.reference
        moved = live.image(truth.x_opt, seed=3, spp=64)
    write(tmp_path / "photo.exr", photo)
    problem = problems.Scene(str(xml), target=tmp_path / "photo.exr", parameters=parameters)
    assert problem.n == 7
    assert problem.names == (
        "box.translation.x",
        "box.translation.y",
        "box.rotation",
        "paint.reflectance.r",
        "paint.reflectance.g",
        "paint.reflectance.b",
        "lamp.intensity",
    )
    np.testing.assert_allclose(problem.x0, [0, 0, 0, 0.8, 0.2, 0.1, math.log(8)], rtol=1e-6)
    res = invopt.minimize(problem, x0=truth.x_opt, maxiter=1, rng=0)
    assert list(res.parameters) == list(answer)
    found = truth.parameters(truth.x_opt)
    for name, value in answer.items():
        np.testing.assert_allclose(found[name], value)
    problem.save(truth.x_opt, tmp_path / "elsewhere" / "found.xml")
    written = problems.Scene(tmp_path / "elsewhere" / "found.xml", target=photo, parameters=Translation("box"))
    with written.open() as live:
        # The hue of the lamp is kept, so the whole picture is the same, textures included.
        np.testing.assert_allclose(live.image(np.zeros(3), seed=3, spp=64), moved, rtol=2e-3, atol=2e-3)


@pytest.mark.render
def test_saved_dictionary_is_the_solved_scene(tmp_path):
    pixels = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4, 1)
    texture = {"type": "bitmap", "raw": True, "format": "variant", "bitmap": pixels}
    description = room() | {"ground": room()["ground"] | {"bsdf": {"type": "diffuse", "reflectance": texture}}}
    ball = problems.mug.mug_mesh()
    description["ball"] = {"type": "ply", "filename": ball, "bsdf": diffuse(0.5, 0.4, 0.3)}
    parameters = [Translation("ball"), Texels("ground.bsdf.reflectance"), FieldOfView(), Translation("lamp")]
    problem = problems.Scene(description, parameters=parameters, x_opt={"sensor.x_fov": 45.0})
    x = np.concatenate([[0.1, 0.2, 0.05], np.linspace(1, 0, 16), [50.0], [0.3, 0.1, -0.4]])
    with problem.open() as live:
        solved = live.image(x, seed=1, spp=64)
    problem.save(x, tmp_path / "found.xml")
    again = problems.Scene(tmp_path / "found.xml", parameters=Translation("ball"), x_opt={})
    with again.open() as live:
        np.testing.assert_allclose(live.image(np.zeros(3), seed=1, spp=64), solved, rtol=2e-3, atol=2e-3)
    with pytest.raises(SceneError, match=r"saved as \.xml"):
        problem.save(x, tmp_path / "found.json")


def with_what_files_write_otherwise():
    sensor = {name: value for name, value in room()["sensor"].items() if name not in ("fov", "fov_axis")}
    spot = {"type": "spot", "to_world": look_at([1, -2, 3], [0, 0, 0], [0, 0, 1]), "cutoff_angle": 25.0}
    gloss = {"type": "roughplastic", "alpha": 0.2}
    return room() | {
        "sensor": sensor | {"focal_length": "50mm"},
        "ball": {"type": "cube", "to_world": np.diag([0.3, 0.3, 0.3, 1]), "bsdf": gloss},
        "glass": {"type": "sphere", "center": [0.8, 0, 0.3], "radius": 0.4, "bsdf": {"type": "dielectric"}},
        "lamp": spot | {"intensity": rgb(30, 30, 20)},
        "sun": {"type": "directional", "direction": [0.3, 0.5, -1], "irradiance": rgb(1, 1, 1)},
        "sky": {"type": "envmap", "bitmap": np.random.default_rng(0).random((4, 8, 3)).astype(np.float32)},
    }


OTHERWISE = {
    FieldOfView(): [30.0],
    Translation("ball", axes="x"): [-0.3],
    Value("ball.bsdf.alpha", bounds=(0.05, 0.5)): [0.4],
    Value("glass.bsdf.eta", bounds=(1, 2.5)): [1.9],
    Value("lamp.cutoff_angle", bounds=(5, 40)): [15.0],
    Rotation("sun", axis=(0, 1, 0)): [1.0],
    Rotation("sky", axis=(0, 0, 1)): [1.0],
}


@pytest.mark.render
def test_saved_scene_is_the_solved_one_where_files_write_it_otherwise(tmp_path):
    problem = problems.Scene(with_what_files_write_otherwise, parameters=list(OTHERWISE), x_opt={})
    x = np.concatenate(list(OTHERWISE.values()))
    with problem.open() as live:
        solved = live.image(x, seed=1, spp=16)
    problem.save(x, tmp_path / "found.xml")
    with problems.Scene(tmp_path / "found.xml", parameters=FieldOfView(), x_opt={}).open() as live:
        np.testing.assert_allclose(live.image(np.array([30.0]), seed=1, spp=16), solved, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda props, value: None, r"is kept, .* its 'sensor.x_fov' is \[40.\] instead of \[30.\]$"),
        (lambda props, value: props.__setitem__("focal_length", "50mm"), "is kept, .* could not be loaded: .*focal"),
    ],
)
def test_a_file_that_is_not_the_solved_scene_is_an_error(write, message, tmp_path, monkeypatch):
    monkeypatch.setitem(saving._SPECIAL, "x_fov", (("perspective",), write))
    with pytest.raises(SceneError, match=message):
        scene(parameters=FieldOfView(), x_opt={}).save([30.0], tmp_path / "found.xml")
    assert (tmp_path / "found.xml").is_file()


def test_texels_of_an_8_bit_file_are_linear_numbers(tmp_path):
    activate()
    pixels = np.random.default_rng(0).uniform(0.1, 0.9, (4, 4, 3)).astype(np.float32)
    write(tmp_path / "ground.png", pixels)
    texture = {"type": "bitmap", "filename": str(tmp_path / "ground.png")}
    description = room() | {"ground": room()["ground"] | {"bsdf": {"type": "diffuse", "reflectance": texture}}}
    problem = scene(description, Texels("ground.bsdf.reflectance"), x_opt={})
    np.testing.assert_allclose(problem.x0.reshape(4, 4, 3), pixels, atol=0.01)
    with problem.open() as live:
        dim, bright = (live.image(np.full(48, value), seed=1).mean() for value in (0.3, 0.6))
        assert bright > 1.5 * dim


def test_a_shared_material_goes_by_the_name_of_any_owner(xml, tmp_path):
    problem = problems.Scene(xml, parameters=[Translation("box"), Color("box.bsdf.reflectance")], x_opt={})
    np.testing.assert_allclose(problem.x0[3:], [0.8, 0.2, 0.1], rtol=1e-6)
    problem.save([0.1, 0, 0, 0.3, 0.4, 0.5], tmp_path / "found.xml")
    found = problems.Scene(tmp_path / "found.xml", parameters=Color("paint.reflectance"), x_opt={})
    np.testing.assert_allclose(found.x0, [0.3, 0.4, 0.5], rtol=1e-6)


@pytest.mark.render
def test_one_thread_reads_and_writes_exr(xml, tmp_path, program):
    # In a process of its own: where it fails, it waits forever.
    code = f"""if True:
        import drjit
        import numpy as np
        import invopt.exceptions
        from invopt import problems
        from invopt.rendering import Texels, activate, set_threads
        activate()
        set_threads(1)
        target = {str(xml.parent / "checks.exr")!r}
        facts = dict(parameters=Texels("shape.bsdf.reflectance"), target=target, variables=dict(width=4))
        problem = problems.Scene({str(xml)!r}, **facts)
        try:
            problem.open()
        except invopt.exceptions.SceneError as error:
            print(error)
        problem.save(problem.x0, {str(tmp_path / "found.xml")!r})
        print(drjit.thread_count())
    """
    run = program(code, timeout=60, check=True)
    assert run.stdout.splitlines()[0].startswith("'target' has")
    assert run.stdout.splitlines()[1] == "1"


@pytest.mark.render
@pytest.mark.parametrize("raw", [False, True])
def test_bitmaps_of_mitsubas_own_travel(raw):
    activate()
    import mitsuba as mi

    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    bitmap = mi.Bitmap(pixels)
    bitmap.set_srgb_gamma(True)
    texture = {"type": "bitmap", "bitmap": bitmap, "raw": raw, "filter_type": "nearest"}
    description = room() | {"ground": room()["ground"] | {"bsdf": {"type": "diffuse", "reflectance": texture}}}
    problem = pickle.loads(pickle.dumps(scene(description)))
    expected = mi.render(
        mi.load_dict(dictionaries.live(room(), Path(".")) | {"ground": _ground(texture)}), spp=64, seed=1
    )
    with problem.open() as live:
        x = problem.layout.initial()
        np.testing.assert_allclose(live.image(x, spp=64, seed=1), np.array(expected), atol=2e-3)


@pytest.mark.render
def test_variables_of_a_file(xml):
    with problems.Scene(xml, parameters=Translation("box"), x_opt={}, variables={"width": 10}).open() as live:
        assert live.reference.shape == (HEIGHT, 10, 3)
    with pytest.raises(SceneError, match="widht"):
        problems.Scene(xml, parameters=Translation("box"), x_opt={}, variables={"widht": 10}).open()
