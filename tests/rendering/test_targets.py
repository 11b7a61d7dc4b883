"""Target pictures are compared as given, or an error says why not."""

import math
import warnings

import numpy as np
import pytest
import torch

import invopt
from invopt.exceptions import SceneError

from .rooms import SIZE, room
from .targets import PICTURE, filming, reference, scene, write


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
    advice = {2: "layer=...., one of 'V.Combined'", 1: "layer=...., one of 'V'"}.get(names[0].count("."), "rename")
    with pytest.raises(SceneError, match=rf"layers.exr' has the channels .*{names[0]}.*, not R, G and B, .*{advice}"):
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
        (np.ma.masked_less(PICTURE, 0.5), "'target' has masked pixels: give Photograph"),
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
        UserWarning, match=r"5 of 576 pixels of 'target' 'bright.png' are saturated: .*: give Photograph"
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
