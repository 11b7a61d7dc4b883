import itertools
import math
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from scipy import stats

import invopt
from invopt import estimators, optimizers, problems
from invopt.core.objective import Capability
from invopt.exceptions import BackendError, IncompatibleError, SceneError
from invopt.rendering import (
    Backend,
    Color,
    Custom,
    FieldOfView,
    Rotation,
    Texels,
    Translation,
    Value,
    activate,
    active,
    choose,
)
from invopt.rendering.descriptions import camera, diffuse, look_at, rgb
from invopt.rendering.reading import dictionaries, saving

WIDTH, HEIGHT = 24, 16
TINY = [
    Translation("ball", axes="x", bounds=(-1, 1)),
    Color("ball.bsdf.reflectance"),
    Value("lamp.intensity", log=True),
]
ANSWER = {"ball.translation": 0.3, "ball.bsdf.reflectance": (0.2, 0.6, 0.3), "lamp.intensity": 9.0}
XML = f"""<scene version="3.0.0">
  <default name="width" value="{WIDTH}"/>
  <integrator type="path"><integer name="max_depth" value="3"/></integrator>
  <sensor type="perspective">
    <float name="fov" value="40"/>
    <transform name="to_world"><lookat origin="0, -3, 1" target="0, 0, 0" up="0, 0, 1"/></transform>
    <film type="hdrfilm"><integer name="width" value="$width"/><integer name="height" value="{HEIGHT}"/></film>
  </sensor>
  <bsdf type="twosided" id="paint"><bsdf type="diffuse"><rgb name="reflectance" value="0.8, 0.2, 0.1"/></bsdf></bsdf>
  <shape type="cube" id="box">
    <transform name="to_world"><scale value="0.4"/></transform>
    <ref id="paint"/>
  </shape>
  <shape type="rectangle">
    <transform name="to_world"><scale value="3"/><translate z="-0.4"/></transform>
    <bsdf type="diffuse">
      <texture type="bitmap" name="reflectance">
        <string name="filename" value="checks.exr"/><boolean name="raw" value="true"/>
      </texture>
    </bsdf>
  </shape>
  <emitter type="point" id="lamp">
    <point name="position" x="1" y="-2" z="3"/><rgb name="intensity" value="9, 9, 6"/>
  </emitter>
</scene>
"""


def room(width=WIDTH, height=HEIGHT):
    return {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": 3},
        "sensor": camera(origin=[0, -3, 1], target=[0, 0, 0], fov=40, width=width, height=height),
        "ball": {"type": "sphere", "radius": 0.5, "bsdf": diffuse(0.5, 0.5, 0.5)},
        "ground": {"type": "rectangle", "to_world": np.diag([4.0, 4, 1, 1]), "bsdf": diffuse(0.4, 0.4, 0.4)},
        "lamp": {"type": "point", "position": [1, -2, 3], "intensity": rgb(5.0, 5.0, 5.0)},
    }


def _ground(texture):
    import mitsuba as mi

    bsdf = {"type": "diffuse", "reflectance": texture}
    return {"type": "rectangle", "to_world": mi.ScalarTransform4f(np.diag([4.0, 4, 1, 1])), "bsdf": bsdf}


def two_views():
    activate()
    second = camera(origin=[3, 0, 1], target=[0, 0, 0], fov=50, width=12, height=20)
    return room() | {"second": second}


def scene(description=room, parameters=TINY, **facts):
    return problems.Scene(description, parameters=parameters, **({"x_opt": ANSWER} | facts))


@pytest.fixture
def xml(tmp_path):
    import mitsuba as mi

    activate()
    checks = np.indices((8, 8)).sum(0) % 2 * 0.6 + 0.2
    mi.Bitmap(checks[:, :, None].astype(np.float32)).write(str(tmp_path / "checks.exr"))
    path = tmp_path / "room.xml"
    path.write_text(XML)
    return path


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
def test_a_file_that_is_not_the_solved_scene_is_said(write, message, tmp_path, monkeypatch):
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
@pytest.mark.parametrize("loss", ["mse", "relative-mse", "multi-scale-mse"])
def test_fun_is_the_mean_square_of_the_residuals(loss):
    problem = scene(two_views, loss=loss, sensors=(0, 1))
    x = torch.from_numpy(problem.starts(np.random.default_rng(0), 2))
    assert Capability.RESIDUALS in problem.provides
    with problem.open() as live:
        values, residuals = live.fun(x, seed=np.array([1, 2])), live.residuals(x, seed=np.array([1, 2]))
    torch.testing.assert_close(values, residuals.square().mean(1), rtol=1e-4, atol=0)


@pytest.mark.render
def test_losses_are_what_they_say():
    def smallest(image, target):
        assert image.shape == target.shape == (HEIGHT, WIDTH, 3)
        return float(np.abs(image - target).min())

    x, seed = torch.from_numpy(scene().x0[None]), np.array([1])
    values = {}
    for loss in ("mse", "relative-mse", "l1", "multi-scale-mse", smallest):
        problem = scene(loss=loss)
        with problem.open() as live:
            values[loss] = live.fun(x, seed=seed).item()
            difference, target = live.image(x[0], seed=1).astype(float) - live.reference, live.reference.astype(float)
    assert values["mse"] == pytest.approx(np.mean(difference**2), rel=1e-4)
    assert values["relative-mse"] == pytest.approx(np.mean(difference**2 / (target**2 + 0.01)), rel=1e-4)
    assert values["l1"] == pytest.approx(np.mean(np.abs(difference)), rel=1e-4)
    assert values[smallest] == pytest.approx(np.abs(difference).min(), rel=1e-4)
    levels = [difference]
    for _ in range(3):
        h, w = (size // 2 * 2 for size in levels[-1].shape[:2])
        levels.append(levels[-1][:h, :w].reshape(h // 2, 2, w // 2, 2, 3).mean((1, 3)))
    assert values["multi-scale-mse"] == pytest.approx(np.mean([np.mean(d**2) for d in levels]), rel=1e-4)
    assert scene(loss="l1").provides == Capability.FUN | Capability.JAC | Capability.TARGET
    assert scene(loss=smallest).provides == Capability.FUN | Capability.TARGET


def write(path, picture):
    import mitsuba as mi

    bitmap = mi.Bitmap(picture)
    if path.suffix == ".png":
        bitmap = bitmap.convert(mi.Bitmap.PixelFormat.RGB, mi.Struct.Type.UInt8, srgb_gamma=True)
    bitmap.write(str(path))


@pytest.mark.render
def test_one_thread_reads_and_writes_exr(xml, tmp_path):
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
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.splitlines()[0].startswith("'target' has")
    assert run.stdout.splitlines()[1] == "1"


@pytest.mark.render
def test_rows_of_one_picture_are_not_several_pictures():
    picture = np.random.default_rng(0).random((HEIGHT, WIDTH, 3))
    assert len(scene(target=picture.tolist()).target) == 1
    assert len(scene(two_views, target=[picture, np.zeros((20, 12))]).target) == 2
    assert len(scene(two_views, target=[picture.tolist(), np.zeros((20, 12)).tolist()]).target) == 2
    assert scene(sensors=0).sensors == (0,)


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
def test_the_target_is_not_the_losss_to_change():
    with (
        scene(loss=lambda image, target: target.fill(0.0)).open() as live,
        pytest.raises(ValueError, match="read-only"),
    ):
        live.fun(torch.zeros(1, 5, dtype=torch.float64), seed=np.array([1]))


def test_a_loss_without_derivative_is_named():
    with pytest.raises(IncompatibleError, match="a loss that is a Python callable has no derivative; use one of"):
        invopt.minimize(scene(loss=lambda image, target: 0.0), "autodiff")


@pytest.mark.render
def test_several_cameras_count_alike():
    problem = scene(two_views, sensors=[0, 1])
    x, seed = torch.from_numpy(problem.x0[None]), np.array([1])
    with problem.open() as live:
        both = live.fun(x, seed=seed).item()
        assert live.reference.shape == (20, WIDTH + 12, 3)
    single = []
    for sensor in (0, 1):
        with scene(two_views, sensors=[sensor]).open() as live:
            single.append(live.fun(x, seed=seed).item())
    assert both == pytest.approx(np.mean(single), rel=1e-5)
    pictures = [np.ones((HEIGHT, WIDTH, 3)), np.ones((20, 12, 3))]
    with scene(two_views, target=pictures).open() as live:
        assert live.reference.shape == (20, WIDTH + 12, 3)


def test_nothing_of_the_callers_is_kept_or_changed():
    activate()
    description = room()
    pose = description["ground"]["to_world"]
    problem = problems.Scene(description, parameters=TINY, x_opt=ANSWER)
    pose[:] = 0
    assert problem.scene["ground"]["to_world"][0, 0] == 4
    copy = pickle.loads(pickle.dumps(problem))
    with copy.open() as live:
        assert np.isfinite(live.reference).all()
    assert set(description) == set(room())
    evolved = attrs.evolve(problem, spp=2)
    assert (evolved.spp, evolved.names) == (2, problem.names)


@pytest.mark.render
def test_start_and_answer_by_name_or_as_a_point():
    problem = scene(x0={"lamp.intensity": 3.0})
    np.testing.assert_allclose(problem.x0, [0, 0.5, 0.5, 0.5, math.log(3)], rtol=1e-6)
    np.testing.assert_allclose(problem.x_opt, [0.3, 0.2, 0.6, 0.3, math.log(9)], rtol=1e-6)
    assert scene(x0=[0.1] * 5).x0.tolist() == [0.1] * 5
    assert problem.bounds.lb.tolist() == [-1, 0, 0, 0, -math.inf]
    assert problem.x_scale.tolist() == [0.25, 0.125, 0.125, 0.125, 0.5]


SURPLUS = room() | {"lamp": {"type": "sphere"}}


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"description": "nowhere.xml"}, "'nowhere.xml' does not exist"),
        ({"description": 3}, "'scene' must be an XML file, a dictionary or a callable"),
        ({"parameters": []}, "'parameters' must be at least one binding"),
        ({"parameters": ["ball"]}, "'parameters' must be bindings"),
        ({"target": None, "x_opt": None}, "give 'target', a picture, or 'x_opt'"),
        ({"target": np.ones((4, 4)), "sensors": [0, 1]}, "'target' must be 2 pictures"),
        ({"sensors": [-1]}, "'sensors' must be numbers of cameras"),
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


@pytest.mark.render
def test_variables_of_a_file(xml):
    with problems.Scene(xml, parameters=Translation("box"), x_opt={}, variables={"width": 10}).open() as live:
        assert live.reference.shape == (HEIGHT, 10, 3)
    with pytest.raises(SceneError, match="widht"):
        problems.Scene(xml, parameters=Translation("box"), x_opt={}, variables={"widht": 10}).open()


@pytest.mark.render
def test_points_that_are_none():
    with scene().open() as live:
        x = torch.tensor([[math.nan] * 5, [0.0, 0.5, 0.5, 0.5, 1.0], [math.inf] * 5], dtype=torch.float64)
        assert live.fun(x, seed=np.array([1, 1, 1])).isfinite().tolist() == [False, True, False]
        assert live.residuals(x, seed=np.array([1, 1, 1])).isfinite().all(1).tolist() == [False, True, False]
        with pytest.raises(ValueError, match="'x' and the parameters that it sets must be finite"):
            live.image([math.nan] * 5)


SCENES = Path(os.environ.get("INVOPT_DATA_DIR", "nowhere")) / "scenes"
needs_scenes = pytest.mark.skipif(not SCENES.is_dir(), reason="INVOPT_DATA_DIR names no folder with scenes/")


def all_lights(x):
    """The thirteen lamps of Hall are alike; x is the logarithm of their radiance."""
    names = ["shape", *(f"shape_{number}" for number in range(2, 14))]
    return {f"{name}.emitter.radiance": torch.exp(x).expand(3) for name in names}


@pytest.mark.render
@needs_scenes
def test_the_door_is_found_ajar():
    problem = problems.Scene(
        SCENES / "veach-ajar" / "scene.xml",
        parameters=Rotation("Door", axis=(0, 1, 0), center=(-2.79, 0, -4.68), bounds=(-40, 40)),
        x0={"Door.rotation": 12.0},
        x_opt={"Door.rotation": -12.0},
        variables={"resx": 32, "resy": 18, "max_depth": 7},
        spp=256,
        reference_spp=8192,
    )
    # The default, GaussNewton, asks for up to 64 times the samples per pixel here: minutes.
    res = invopt.minimize(problem, "shared-samples", rng=0, maxfev=60)
    assert abs(res.parameters["Door.rotation"] + 12.0) < 0.05 * 24


@pytest.mark.render
@needs_scenes
def test_the_light_of_the_hall_is_found():
    # A loss of noisy pictures favours a dim light, which makes less noise; Autodiff's gradient has no such bias.
    problem = problems.Scene(
        SCENES / "staircase2" / "scene.xml",
        parameters=Custom("light", function=all_lights, x0=[0.0], scale=0.5),
        x_opt=[math.log(4.0)],
        variables={"resx": 24, "resy": 24, "max_depth": 5},
        reference_spp=4096,
    )
    if active() is Backend.SCALAR:
        pytest.skip("the scalar backend has no derivative")
    adam = optimizers.Adam(lr=invopt.Exponential(start=0.3, factor=0.93))
    res = invopt.minimize(problem, estimators.Autodiff(), adam, rng=0, maxiter=40)
    assert abs(res.parameters["light"] - math.log(4.0)) < 0.05 * math.log(4.0)


SCALAR = """
import sys
import numpy as np
from tests_of_scene import room, two_views, TINY, ANSWER
from invopt import problems
problem = problems.Scene(room, parameters=TINY, x_opt=ANSWER, spp=64, backend=sys.argv[2])
with problem.open() as live:
    np.save(sys.argv[1], [live.image(problem.x_opt, seed=s) for s in range(24)])
"""


@pytest.mark.render
@pytest.mark.parametrize("pair", list(itertools.combinations(["scalar", "llvm", "cuda"], 2)), ids="-".join)
def test_backends_agree_pairwise(pair, tmp_path):
    shutil.copy(__file__, tmp_path / "tests_of_scene.py")
    found = []
    for backend in pair:
        try:
            choose(backend)
        except BackendError as error:
            pytest.skip(str(error))
        path = tmp_path / f"{backend}.npy"
        env = {**os.environ, "INVOPT_BACKEND": "", "PYTHONPATH": str(tmp_path)}
        subprocess.run([sys.executable, "-c", SCALAR, str(path), backend], env=env, check=True, timeout=250)
        found.append(np.load(path).astype(float).reshape(24, -1))
    assert not differ(*found)
    assert differ(found[0], 1.02 * found[1])


def differ(a, b, alpha=1e-6):
    """Whether two sets of pictures differ by more than chance at rate alpha, in any pixel or in the mean."""
    a, b = (np.column_stack([s, s.mean(1)]) for s in (a, b))
    noisy = (a.std(0) > 1e-4) & (b.std(0) > 1e-4)
    p = stats.ttest_ind(a[:, noisy], b[:, noisy], equal_var=False).pvalue
    return bool(p.min() < alpha / p.size)
