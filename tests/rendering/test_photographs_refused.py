"""Files of photographs, and photographs that are refused."""

import numpy as np
import pytest

from invopt.exceptions import SceneError
from invopt.rendering import Photograph, activate
from invopt.rendering.photographs.development import develop

from .photographs import FINE, LIGHT, compared, encoded, film
from .picture_files import HEIGHT, KINDS, WIDTH, make, named
from .targets import write


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"source": "nowhere.png"}, "'source' 'nowhere.png' does not exist"),
        ({"source": "photo.docx"}, "'source' must be a picture"),
        ({"source": np.ones((4, 4, 2))}, "'source' must have 1, 3 or 4 channels"),
        ({"source": np.ones((4, 4), dtype=complex)}, "'source' must be a file, or an array of floats"),
        ({"source": np.full((4, 4), np.nan)}, "must be finite: 16 of 16 pixels are not; mask them"),
        ({"mask": np.ones((3, 3))}, "'mask' has 3 x 3 pixels, but the photograph 16 x 12"),
        ({"mask": np.zeros((12, 16))}, "'mask' must be > 0 somewhere"),
        ({"mask": np.full((12, 16), 2.0)}, "'mask' must be True, False or weights in"),
        ({"mask": np.ones(3)}, "'mask' must be a file or an array of shape"),
        ({"saturation": 0}, "'saturation' must be > 0"),
        ({"saturation": "some"}, "'saturation' must be a number, 'auto' or None"),
        ({"exposure": 0}, "'exposure' must be a number > 0 or 'unknown': 0"),
        ({"exposure": "auto"}, "'exposure' must be a number > 0 or 'unknown'"),
        ({"white_balance": (1, 2)}, "'white_balance' must be three numbers"),
        ({"white_balance": (1, 0, 2)}, "'white_balance' must be three numbers"),
        ({"response": "rec709"}, "'response' must be one of srgb"),
        ({"response": -1.0}, "'response' must be a gamma"),
        ({"response": [1.0, 0.0]}, "'response' must be monotone"),
        ({"response": lambda v: 1.0}, "'response' must return one number for each"),
        ({"response": "unknown", "exposure": "unknown"}, "'exposure' must be left out if 'response' is 'unknown'"),
        ({"crop": (0, 0, 4)}, "'crop' must be"),
        ({"crop": (10, 0, 10, 4)}, r"'crop' \(10, 0, 10, 4\) reaches beyond the 16 x 12 pixels"),
        ({"layer": "V.Combined"}, "'layer' must be left out unless the source is an EXR file: 'V.Combined'"),
        ({"layer": 3}, "'layer' must be"),
        ({"resize": "fit"}, "'resize' must be 'film', 'stretch' or None"),
        ({"alpha": "keep"}, "'alpha' must be one of mask, ignore"),
        ({"weight": 0}, "'weight' must be > 0"),
        ({"noise": (0, 1)}, "'noise' must be .* read > 0"),
        ({"noise": np.ones((2, 3))}, "'noise' has 3 x 2 pixels"),
    ],
)
def test_bad_input_at_construction(facts, message):
    with pytest.raises((TypeError, ValueError), match=message):
        Photograph(**({"source": LIGHT} | facts))


@pytest.mark.parametrize(
    ("photograph", "size", "message"),
    [
        (Photograph(LIGHT), (12, 12), "16 x 12 pixels, but the camera takes 12 x 12, which is another shape: .*'crop'"),
        (Photograph(LIGHT), (24, 32), "16 x 12 pixels, but the camera takes 32 x 24: give the film at most"),
        (Photograph(LIGHT, resize=None), (6, 8), "leave 'resize' at 'film'"),
        (Photograph(np.full((12, 16), 255, np.uint8)), (12, 16), "can be compared: 100 % of it is saturated"),
        (
            Photograph(LIGHT, mask=np.eye(12, 16), crop=(8, 0, 4, 3)),
            (3, 4),
            "can be compared: 0 % of it is saturated, and 100 % of the part that the film shows is masked",
        ),
        (
            Photograph(LIGHT[:, :, 0], white_balance="unknown"),
            (12, 16),
            "'white_balance' must be left out if luminance",
        ),
    ],
)
def test_a_photograph_that_does_not_fit(photograph, size, message):
    with pytest.raises(SceneError, match=message):
        develop(photograph, film(*size))


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "16.png", "16.tif"])
def test_files(suffix, tmp_path):
    from PIL import Image

    activate()
    smooth = np.kron(np.linspace(0.1, 0.8, 6)[None, :, None] * np.ones((4, 1, 3)), np.ones((8, 8, 1)))
    path = tmp_path / f"photo.{suffix}"
    if suffix == "16.png":
        import mitsuba as mi

        mi.Bitmap(encoded(smooth, 16)).write(str(path))
    elif suffix == "16.tif":
        Image.fromarray(encoded(smooth[:, :, 0], 16)).save(path)
    else:
        Image.fromarray(encoded(smooth)).save(path, **({"quality": 95} if suffix == "jpg" else {}))
    target = develop(Photograph(path), film(4, 6, channels=1 if suffix == "16.tif" else 3))
    assert np.abs(target.picture - smooth[4::8, 4::8, : target.picture.shape[2]]).max() < 0.02
    assert target.exposure.ceiling == pytest.approx(0.955, abs=0.01)


@pytest.mark.parametrize("suffix", ["exr", "hdr", "pfm"])
def test_files_of_light(suffix, tmp_path):
    """Bright pixels are compared, and numbers are light."""
    path = write(tmp_path / f"photo.{suffix}", 20 * LIGHT)
    target = develop(Photograph(path), film())
    # Half of the digits of a single, one of 8 bits beside a common exponent, all digits.
    allowed = {"exr": 1e-3, "hdr": 1 / 128, "pfm": 1e-6}[suffix] * 20 * LIGHT.max(axis=2, keepdims=True)
    assert (np.abs(target.picture - 20 * LIGHT) <= allowed).all()
    assert target.scales is None
    assert target.exposure.ceiling is None


def test_a_layer_of_a_file(tmp_path):
    """As renderers write them: a picture with alpha, its diffuse part, and the depth."""
    names = [*(f"V.Combined.{c}" for c in "RGBA"), *(f"V.Diffuse.{c}" for c in "RGB"), "V.Depth.Z"]
    layers = np.random.default_rng(2).uniform(0.1, 0.9, (12, 16, 8)).astype(np.float32)
    layers[:, :, 3] = 1.0
    layers[:3, :, 3] = 0.0
    path = write(tmp_path / "layers.exr", layers, names)
    target = develop(Photograph(path, layer="V.Combined"), film())
    # The first rows are transparent, and their neighbours are left out too.
    np.testing.assert_allclose(target.picture[4:], layers[4:, :, :3], rtol=1e-3)
    assert compared(target).all(1).tolist() == [False] * 4 + [True] * 8
    np.testing.assert_allclose(
        develop(Photograph(path, layer="V.Diffuse"), film()).picture, layers[:, :, 4:7], rtol=1e-3
    )
    with pytest.raises(SceneError, match="not R, G and B, or Y: give Photograph.* one of 'V.Combined', 'V.Diffuse'"):
        develop(Photograph(path), film())
    with pytest.raises(SceneError, match="no layer 'V.Depth' with R, G and B, or Y: give Photograph"):
        develop(Photograph(path, layer="V.Depth"), film())


@pytest.mark.parametrize("kind", [*KINDS, "tif"])
def test_half_a_file_is_refused(kind, tmp_path):
    activate()
    path = make(named(tmp_path, kind))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SceneError, match=f"{path.name}"):
        develop(Photograph(path), film(HEIGHT, WIDTH))


def test_a_mask_in_a_file(tmp_path):
    from PIL import Image

    mask = np.full(FINE.shape[:2], 255, np.uint8)
    mask[:16] = 0
    Image.fromarray(mask).save(tmp_path / "mask.png")
    activate()
    target = develop(Photograph(FINE, mask=tmp_path / "mask.png"), film())
    assert compared(target).any(1).tolist() == [False] * 5 + [True] * 7
    Image.fromarray(mask[:8]).save(tmp_path / "mask.png")
    with pytest.raises(SceneError, match="'mask' has 64 x 8 pixels, but the photograph 64 x 48"):
        develop(Photograph(FINE, mask=tmp_path / "mask.png"), film())
