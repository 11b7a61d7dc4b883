"""Pictures of a trained field, their errors, and the command that makes them."""

import json

import matplotlib.image
import numpy as np
import pytest

from invopt.exceptions import BackendError, InvoptError
from invopt.problems.radiosity import RadianceField
from invopt.problems.radiosity.pictures import metrics
from invopt.problems.radiosity.pictures.camera_path import path_between, write_frames
from invopt.problems.radiosity.pictures.metrics import compare, flip
from invopt.problems.radiosity.pictures.reference import reference

from .trainings import small

pytestmark = pytest.mark.render


def test_pictures(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("INVOPT_CACHE_DIR", str(tmp_path / "cache"))
    problem, res = trained
    with problem.open() as live:
        left = live.render(res.x, size=(20, 20))
        again = live.render(res.x, size=(20, 20))
        right = live.render(res.x, side="rhs", size=(20, 20), n_directions=4)
        truth = reference(live, spp=4, size=(20, 20))
        monkeypatch.setattr(type(live), "trace", None)
        assert np.array_equal(reference(live, spp=4, size=(20, 20)), truth)
        assert live.emitting_pixels(size=(20, 20)).shape == (20, 20)
        stops = [((-0.5, 0, 0.9), (0, 0, 0)), ((0.5, 0, 0.9), (0, 0, 0))]
        views = path_between(stops, 3, fov=60, width=16, height=12)
        files = write_frames(live, res.x, views, str(tmp_path / "frames"), spp=1)
        for bad, message in (({"side": "top"}, "'side' must be"), ({"sensor": 1}, "below 1")):
            with pytest.raises(ValueError, match=message):
                live.render(res.x, **bad)
        with pytest.raises(ValueError, match="must be >= 2\\*\\*31"):
            reference(live, spp=4, seed=1)
    assert left.shape == right.shape == truth.shape == (20, 20, 3)
    assert np.array_equal(left, again)
    assert [file.name for file in files] == ["frame_0000.png", "frame_0001.png", "frame_0002.png", "strip.png"]
    assert matplotlib.image.imread(files[-1]).shape[:2] == (12, 48)


def test_reference_is_what_mitsuba_renders():
    import mitsuba as mi

    with small().open() as live:
        size = live.transport.size(0)
        ours = live.trace(spp=16, seed=2**31, depth=8)
        integrator = mi.load_dict({"type": "path", "max_depth": 8, "rr_depth": 8})
        theirs = np.array(mi.render(live.transport.scene, integrator=integrator, spp=16, seed=5))
    assert ours.shape == (size[1], size[0], 3)
    assert ours.mean() == pytest.approx(theirs.mean(), rel=0.05)
    blocks = [picture.reshape(8, 16, 8, 16, 3).mean((1, 3)) for picture in (ours, theirs)]
    np.testing.assert_allclose(*blocks, rtol=0.5, atol=0.1)


def test_errors_of_a_picture():
    truth = np.full((4, 4, 3), 0.5)
    picture = truth * 0.9
    found = compare(picture, truth)
    assert found.energy == pytest.approx(0.9)
    assert found.mse == pytest.approx(0.0025)
    assert found.mape == pytest.approx(0.05 / 0.51)
    assert found.relmse == pytest.approx(0.0025 / 0.26)
    mask = np.zeros((4, 4), dtype=bool)
    mask[0] = True
    picture[0] = 100
    assert compare(picture, truth, mask).to_dict() == pytest.approx(found.to_dict())
    with pytest.raises(ValueError, match="one shape"):
        compare(truth, truth[:2])
    with pytest.raises(ValueError, match="leaves no pixel"):
        compare(truth, truth, np.ones((4, 4), dtype=bool))


def test_flip():
    rng = np.random.default_rng(0)
    truth = rng.random((32, 32, 3)) * 4
    near, far = (flip(truth + error * rng.normal(size=truth.shape), truth) for error in (0.05, 0.5))
    assert flip(truth, truth) == pytest.approx(0, abs=1e-6)
    assert 0.01 < near < 0.5 * far < 0.5


def test_flip_names_the_missing_package(monkeypatch):
    monkeypatch.setattr(metrics, "has_flip", lambda: False)
    with pytest.raises(InvoptError, match="pip install 'invopt\\[flip\\]'"):
        flip(np.ones((4, 4, 3)), np.ones((4, 4, 3)))


@pytest.fixture
def oidn():
    return pytest.importorskip("pyoidn", reason="pyoidn, the extra 'denoise', is not installed")


def test_denoised_pictures_are_nearer(oidn, tmp_path):
    """By more than a half, with what the camera sees of surfaces; frames of a path too."""
    size = (32, 32)
    with small("cornell-box").open() as live:
        noisy, truth = live.trace(spp=2, seed=1, size=size), live.trace(spp=128, seed=2**31, size=size)
        emitting = live.emitting_pixels(size=size)
        before, after = (compare(picture, truth, emitting).mse for picture in (noisy, live.denoise(noisy)))
        views = path_between([((-0.5, 0, 0.9), (0, 0, 0)), ((0.5, 0, 0.9), (0, 0, 0))], 2, fov=60, width=8, height=8)
        assert len(write_frames(live, live.problem.x0, views, tmp_path, spp=1, denoise=True)) == 3
    assert after < 0.5 * before


def test_what_denoisers_know_is_what_mitsuba_shows():
    import mitsuba as mi

    from invopt.problems.radiosity.pictures.denoising import features

    with small("cornell-box").open() as live:
        aovs = mi.load_dict({"type": "aov", "aovs": "albedo:albedo,normal:sh_normal"})
        theirs = np.array(mi.render(live.transport.scene, integrator=aovs, spp=16)).reshape(8, 16, 8, 16, 6)
        albedo, normal = features(live.transport, 0, live.transport.size(0))
    ours = np.concatenate([albedo, normal], axis=2).reshape(8, 16, 8, 16, 6)
    np.testing.assert_allclose(ours.mean((1, 3)), theirs.mean((1, 3)), atol=0.05)


def test_what_needs_a_gpu_is_an_error_without_one():
    with small().open() as live:
        if live.device.type == "cuda":
            pytest.skip("here is one")
        if not live.can_denoise:
            with pytest.raises(InvoptError, match="pip install 'invopt\\[denoise\\]'"):
                live.denoise(np.zeros((4, 4, 3)))
        with pytest.raises(ValueError, match="'picture' must be of shape"):
            live.denoise(np.zeros((4, 4)))
    with pytest.raises(BackendError, match="precision='mixed' needs"):
        small(precision="mixed").open()


def test_command(tmp_path, monkeypatch, capsys):
    from invopt import cli

    monkeypatch.setenv("INVOPT_CACHE_DIR", str(tmp_path / "cache"))
    settings = ["field=tiny", "n_points=64", "n_directions=2"]
    arguments = ["invopt", "run", "radiosity", "--scene", "furnace", "--estimator", "semi-gradient", "--maxfev", "5"]
    arguments += [part for setting in settings for part in ("--set", setting)]
    arguments += ["--checkpoint", str(tmp_path / "run.safetensors"), "--out", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    assert "NeuralRadiosity: evaluation budget spent" in " ".join(capsys.readouterr().out.split())
    files = {file.name for file in (tmp_path / "out").iterdir()}
    assert {
        "result.json",
        "convergence.png",
        "found.png",
        "right_side.png",
        "sides.png",
        "errors.json",
        "field.safetensors",
    } <= files
    assert {"lhs", "rhs"} <= set(json.loads((tmp_path / "out" / "errors.json").read_text()))
    assert RadianceField.load(tmp_path / "out" / "field.safetensors").scene.startswith("furnace:")
    assert (tmp_path / "run.safetensors").exists()
