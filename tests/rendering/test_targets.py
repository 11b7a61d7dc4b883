"""Target pictures are compared as given, or an error says why not."""

import math
import warnings

import numpy as np
import pytest
import torch

import invopt
from invopt import problems
from invopt.exceptions import SceneError
from invopt.rendering import Color, Translation, Value, activate
from invopt.rendering.backend import two_threads

from .rooms import SIZE, room

PICTURE = np.random.default_rng(0).uniform(0.05, 0.95, (SIZE, SIZE, 3)).astype(np.float32)
LUMINANCE = PICTURE @ [0.212671, 0.715160, 0.072169]


def scene(target, description=room, **facts):
    parameters = Translation("box", axes="x", bounds=(-1, 1))
    return problems.Scene(description, parameters=parameters, target=target, spp=1, **facts)


def reference(target, description=room):
    with scene(target, description).open() as live:
        return live.reference


def filming(**facts):
    described = room()
    described["sensor"]["film"] |= facts
    return described


def write(path, picture, names=None):
    activate()
    import mitsuba as mi

    formats = mi.Bitmap.PixelFormat
    bitmap = mi.Bitmap(picture) if names is None else mi.Bitmap(picture, formats.MultiChannel, names)
    if path.suffix == ".png":
        bitmap = bitmap.convert(component_format=mi.Struct.Type.UInt8, srgb_gamma=True)
    with two_threads():
        bitmap.write(str(path))
    return path


@pytest.mark.render
@pytest.mark.parametrize("suffix", ["exr", "hdr", "png", "pfm"])
def test_files(suffix, tmp_path):
    tolerance = {"exr": 1e-6, "pfm": 1e-6, "hdr": 0.01, "png": 0.01}[suffix]
    found = reference(write(tmp_path / f"target.{suffix}", PICTURE))
    np.testing.assert_allclose(found, PICTURE, atol=tolerance)


@pytest.mark.render
@pytest.mark.parametrize("suffix", ["bmp", "tga"])
def test_files_that_pillow_writes(suffix, tmp_path):
    from PIL import Image

    levels = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
    Image.fromarray(levels).save(tmp_path / f"target.{suffix}")
    encoded = levels / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    np.testing.assert_allclose(reference(tmp_path / f"target.{suffix}"), linear, atol=1e-5)


@pytest.mark.render
def test_arrays_are_copied():
    picture = PICTURE.copy()
    problem = scene(picture)
    picture[:] = 9
    with problem.open() as live:
        np.testing.assert_array_equal(live.reference, PICTURE)
        live.set_target(picture)
        assert (live.reference == 9).all()


@pytest.mark.render
def test_channels_of_a_file_are_found_by_their_names(tmp_path):
    layers = np.random.default_rng(0).random((SIZE, SIZE, 7)).astype(np.float32)
    names = ["R", "G", "B", "depth.T", "normal.X", "normal.Y", "normal.Z"]
    found = reference(write(tmp_path / "layers.exr", layers, names))
    np.testing.assert_allclose(found, layers[:, :, :3], rtol=1e-3)
    found = reference(write(tmp_path / "depth.exr", layers[:, :, :4], ["Z", "B", "R", "G"]))
    np.testing.assert_allclose(found, layers[:, :, [2, 3, 1]], rtol=1e-3)


@pytest.mark.render
@pytest.mark.parametrize(
    "names",
    [
        ["V.Combined.R", "V.Combined.G", "V.Combined.B", "V.Combined.A", "V.Depth.Z"],
        ["V.R", "V.G", "V.B"],
        ["r", "g", "b"],
        ["R", "G"],
        ["Z"],
    ],
    ids="-".join,
)
def test_a_file_whose_picture_has_another_name_is_refused(names, tmp_path):
    path = write(tmp_path / "layers.exr", np.ones((SIZE, SIZE, len(names)), np.float32), names)
    with pytest.raises(SceneError, match=rf"layers.exr' has the channels .*{names[0]}.* write the layer that is meant"):
        scene(path).open()


@pytest.mark.render
def test_nan_in_a_file(tmp_path):
    picture = PICTURE.copy()
    picture[3, 4] = np.nan
    with pytest.raises(SceneError, match=f"must be finite: 1 of {SIZE * SIZE} pixels"):
        scene(write(tmp_path / "target.exr", picture)).open()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("photo.exr", "'target' 'photo.exr' does not exist"),
        ("photo.docx", "'target' must be a picture"),
        (np.full((4, 4, 3), np.nan), "'target' must be finite: 16 of 16 pixels"),
        (np.full((4, 4, 3), np.inf), "'target' must be finite: 16 of 16 pixels"),
        (np.full((4, 4, 3), 1e300), "'target' must be finite: 16 of 16 pixels"),
        (np.ones((4, 4, 2)), "'target' must have 1, 3 or 4 channels"),
        (np.ones((3, 4, 4)).transpose(1, 2, 0)[None], "'target' must be a file or an array"),
        (np.ones((3, SIZE, SIZE)), "'target' must have 1, 3 or 4 channels"),
        (np.ones((4, 4, 3), dtype=np.uint8), "got dtype uint8: decode it first, from sRGB"),
        (np.ones((4, 4, 3), dtype=bool), "dtype bool"),
        (np.ones((4, 4, 3), dtype=complex), "dtype complex"),
        (np.ones((4, 4, 3), dtype=object), "dtype object"),
        (np.round(255 * PICTURE), "but holds integers up to 24., as an 8-bit picture does"),
        (np.ones(4), "'target' must be a file or an array"),
        (np.ones((0, 4, 3)), "'target' must have pixels"),
        ([[1.0], [1.0, 2.0]], "'target' must be a file or an array"),
        (torch.ones(4, 4, 3).to_sparse(), "'target' must be a file or an array of real numbers: .*Sparse"),
        (np.ma.masked_less(PICTURE, 0.5), "'target' has masked pixels, and masks are ignored: .* loss=lambda"),
        ([np.ma.masked_less(PICTURE, 0.5)], "'target' has masked pixels"),
        (np.dstack([PICTURE, PICTURE[:, :, :1]]), "has an alpha channel, and 576 of 576 pixels are not opaque"),
    ],
)
def test_bad_arrays(target, message):
    with pytest.raises(SceneError, match=message):
        scene(target)


@pytest.mark.render
def test_arrays_that_only_look_odd():
    for same in (
        np.ma.masked_less(PICTURE, 0.0),
        np.dstack([PICTURE, np.ones((SIZE, SIZE))]),
        torch.tensor(PICTURE, requires_grad=True),
        PICTURE.tolist(),
        np.asfortranarray(PICTURE),
    ):
        np.testing.assert_array_equal(reference(same), PICTURE)
    assert reference(torch.tensor(PICTURE).bfloat16()) == pytest.approx(PICTURE, rel=0.01)
    assert (reference(np.ones((SIZE, SIZE, 3))) == 1).all()


@pytest.mark.render
@pytest.mark.parametrize("names", [["R", "G", "B", "A"], ["Y", "A"]], ids="".join)
def test_alpha_in_a_file(names, tmp_path):
    picture = np.full((SIZE, SIZE, len(names)), 0.5, np.float32)
    with pytest.raises(SceneError, match=r"alpha.exr' has an alpha channel, and 576 of 576 pixels are not opaque"):
        scene(write(tmp_path / "alpha.exr", picture, names)).open()
    picture[:, :, -1] = 1.0
    description = room if len(names) == 4 else filming(pixel_format="luminance")
    assert (reference(write(tmp_path / "opaque.exr", picture, names), description) == 0.5).all()


@pytest.mark.render
def test_a_palette_with_a_transparent_color(tmp_path):
    from PIL import Image

    levels = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
    Image.fromarray(levels).quantize(4).save(tmp_path / "palette.png", transparency=0)
    with pytest.raises(SceneError, match=r"palette.png' has an alpha channel, and \d+ of 576 pixels are not opaque"):
        scene(tmp_path / "palette.png").open()


# Luminance


@pytest.mark.render
@pytest.mark.parametrize("pixels", ["luminance", "luminance_alpha"])
def test_a_film_of_luminance_compares_luminance(pixels):
    film = filming(pixel_format=pixels)
    for target in (LUMINANCE, LUMINANCE[:, :, None], PICTURE):
        found = reference(target, film)
        assert found.shape == (SIZE, SIZE)
        np.testing.assert_allclose(found, LUMINANCE, rtol=1e-5)
    with scene(PICTURE).open() as color, scene(LUMINANCE, film).open() as grey:
        taken = color.image([0.1], seed=1, spp=4) @ [0.212671, 0.715160, 0.072169]
        np.testing.assert_allclose(grey.image([0.1], seed=1, spp=4), taken, rtol=1e-4, atol=1e-6)
        x = torch.tensor([[0.1]], dtype=torch.float64)
        residuals = grey.residuals(x, seed=np.array([1]))
        assert residuals.shape == (1, SIZE * SIZE)
        assert grey.fun(x, seed=np.array([1])).item() == pytest.approx(residuals.square().mean().item(), rel=1e-5)


@pytest.mark.render
def test_a_lamp_is_found_by_its_luminance():
    """A film of luminance must not be replaced by RGB: the lamp was then ten times too dim."""
    film = filming(pixel_format="luminance")
    parameters = Value("bulb.intensity", log=True)
    truth = problems.Scene(film, parameters=parameters, x_opt={"bulb.intensity": 5.0}, reference_spp=256)
    with truth.open() as live:
        photo = live.reference
    problem = problems.Scene(film, parameters=parameters, target=photo)
    res = invopt.minimize(problem, rng=0, maxfev=60)
    assert res.parameters["bulb.intensity"] == pytest.approx(5.0, rel=0.02)


@pytest.mark.render
def test_a_grey_target_of_a_camera_of_color_is_refused(tmp_path):
    advice = "one channel, but the camera takes red, green and blue: give its film pixel_format 'luminance'"
    for grey in (PICTURE[:, :, 0], PICTURE[:, :, :1], write(tmp_path / "grey.exr", PICTURE[:, :, :1])):
        with pytest.raises(SceneError, match=advice):
            scene(grey).open()
    with scene(PICTURE).open() as live, pytest.raises(SceneError, match=advice):
        live.set_target(PICTURE[:, :, 0])


@pytest.mark.render
@pytest.mark.parametrize("pixels", ["xyz", "xyza", "cmyk"])
def test_films_of_other_channels_are_refused(pixels):
    with pytest.raises(SceneError, match=f"pixel_format '{pixels}', which no target has: use one of rgb"):
        scene(PICTURE, filming(pixel_format=pixels)).open()


@pytest.mark.render
def test_the_size_is_that_of_the_films_crop():
    film = filming(crop_width=8, crop_height=6, crop_offset_x=2, crop_offset_y=3)
    with pytest.raises(SceneError, match="'target' has 24 x 24 pixels, but the camera takes 8 x 6"):
        scene(PICTURE, film).open()
    np.testing.assert_array_equal(reference(PICTURE[3:9, 2:10], film), PICTURE[3:9, 2:10])


# Saturation


@pytest.mark.render
def test_saturated_pixels_are_counted(tmp_path):
    picture = PICTURE.copy()
    picture[2, :5, 1] = 7.0
    path = write(tmp_path / "bright.png", picture)
    with pytest.warns(
        UserWarning, match=r"5 of 576 pixels of 'target' 'bright.png' are saturated: .*: use a shorter exposure"
    ):
        reference(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        reference(write(tmp_path / "bright.exr", picture))
        reference(write(tmp_path / "dark.png", PICTURE))


# Losses


@pytest.mark.render
@pytest.mark.parametrize(
    "returned", [None, "a", 1j, np.ma.masked, np.zeros(3), np.zeros((4, 4))], ids=lambda value: type(value).__name__
)
def test_a_loss_that_returns_no_number(returned):
    problem = scene(PICTURE, loss=lambda image, target: returned)
    with pytest.raises(invopt.EvaluationError, match="'loss' must return one real number"):
        invopt.minimize(problem, rng=0, maxfev=4)


@pytest.mark.render
def test_a_loss_with_a_mask_of_its_own():
    """A loss as the errors about masks advise."""
    mask = PICTURE > 0.5
    problem = scene(PICTURE, loss=lambda image, target: np.mean((image - target)[mask] ** 2))
    with problem.open() as live:
        x = torch.zeros(1, 1, dtype=torch.float64)
        image = live.image([0.0], seed=1)
        expected = np.mean((image - PICTURE)[mask] ** 2)
        assert live.fun(x, seed=np.array([1])).item() == pytest.approx(expected, rel=1e-5)
        assert math.isfinite(expected)


@pytest.mark.render
def test_a_color_seen_by_a_camera_of_luminance_has_a_derivative():
    problem = problems.Scene(
        filming(pixel_format="luminance"), parameters=Color("ball.bsdf.reflectance"), x_opt=[0.2, 0.6, 0.3], spp=64
    )
    if invopt.rendering.active().value == "scalar":
        pytest.skip("the scalar backend has no derivative")
    x = torch.tensor([0.5, 0.4, 0.6], dtype=torch.float64)
    steps = 0.02 * torch.eye(3, dtype=torch.float64)
    with problem.open() as live:
        exact = torch.stack([live.value_and_jac(x, seed=s)[1] for s in range(12)])
        found = []
        for s in range(12):
            pairs = [live.fun(torch.stack([x + step, x - step]), seed=np.array([s, s])) for step in steps]
            found.append(torch.stack([-pair.diff()[0] / 0.04 for pair in pairs]))
        difference = torch.stack(found)
    # Five standard errors of the two means; the loss is a square, so that differences of its values are exact.
    error = torch.sqrt((exact.var(0) + difference.var(0)) / 12)
    assert ((exact.mean(0) - difference.mean(0)).abs() <= 5 * error + 1e-6).all()
    assert (exact.mean(0).abs() > 10 * error).all()
