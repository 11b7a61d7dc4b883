"""Picture files with rotation tags or other colour spaces."""

import struct

import numpy as np
import pytest

from invopt.exceptions import SceneError
from invopt.rendering import Photograph, activate
from invopt.rendering.photographs.development import develop
from invopt.rendering.pictures.display import encoded
from invopt.rendering.pictures.picture_files import check_named
from invopt.rendering.pictures.stored import read_stored
from invopt.rendering.pictures.targets import read_target

from .photographs import film
from .picture_files import LEVELS, make


@pytest.mark.render
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
@pytest.mark.parametrize("orientation", range(9))
def test_a_photograph_that_is_stored_turned(orientation, suffix, tmp_path):
    """Pillow itself turns pictures as EXIF says; the pictures are smooth, so that JPEG changes them little."""
    from PIL import Image, ImageOps

    activate()
    y, x = np.mgrid[0:16, 0:24]
    levels = np.stack([10 * x, 12 * y, 100 + 2 * x + 3 * y], axis=2).astype(np.uint8)
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(levels).save(path, exif=exif, **({"quality": 100, "subsampling": 0} if suffix == "jpg" else {}))
    seen = np.asarray(ImageOps.exif_transpose(Image.open(path)), dtype=np.float64)
    assert seen.shape == ((24, 16, 3) if orientation >= 5 else (16, 24, 3))
    for found in (read_stored(path).pixels, encoded(read_target(path))):
        assert found.shape == seen.shape
        assert np.abs(255 * found - seen).max() < (4 if suffix == "jpg" else 0.01)
    photograph = Photograph(path, crop=(0, 0, *seen.shape[1::-1]))
    assert develop(photograph, film(seen.shape[0] // 2, seen.shape[1] // 2)).picture.shape[0] == seen.shape[0] // 2


def test_an_orientation_that_does_not_exist(tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[274] = 9
    Image.fromarray(LEVELS).save(tmp_path / "photo.jpg", exif=exif)
    with pytest.raises(SceneError, match="photo.jpg' says that its EXIF orientation is 9, not one of 1 to 8: save it"):
        Photograph(tmp_path / "photo.jpg")


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_colours_of_another_space(suffix, tmp_path):
    from PIL import Image, ImageCms

    path = tmp_path / f"photo.{suffix}"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(LEVELS).save(path, icc_profile=profile)
    check_named(path)
    # Red of another colour, as in the profile of a wider space.
    start = profile.index(b"rXYZ")
    place = struct.unpack(">I", profile[start + 4 : start + 8])[0] + 8
    wide = profile[:place] + struct.pack(">3i", 39910, 20382, 1258) + profile[place + 12 :]
    for other in (wide, b"no profile"):
        Image.fromarray(LEVELS).save(path, icc_profile=other)
        with pytest.raises(SceneError, match=f"photo.{suffix}' has a colour profile that is not sRGB: convert it"):
            check_named(path)


def test_a_png_file_that_says_it_is_linear(tmp_path):
    from PIL import Image, PngImagePlugin

    srgb = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
    wide = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    for chunks, fine in [
        ({b"gAMA": struct.pack(">I", 45455), b"cHRM": srgb}, True),
        ({b"sRGB": b"\0", b"gAMA": struct.pack(">I", 45455)}, True),
        ({b"gAMA": struct.pack(">I", 100000)}, False),
        ({b"cHRM": wide}, False),
    ]:
        info = PngImagePlugin.PngInfo()
        for name, data in chunks.items():
            info.add(name, data)
        Image.fromarray(LEVELS).save(tmp_path / "photo.png", pnginfo=info)
        if fine:
            check_named(tmp_path / "photo.png")
            continue
        with pytest.raises(SceneError, match="photo.png' says that its colours are not sRGB"):
            check_named(tmp_path / "photo.png")


@pytest.mark.render
def test_an_exr_file_of_wider_primaries(tmp_path):
    path = make(tmp_path / "picture.exr")
    data = path.read_bytes()
    for primaries, fine in [
        ((0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329), True),
        ((0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767), False),
    ]:
        attribute = b"chromaticities\0chromaticities\0" + struct.pack("<I8f", 32, *primaries)
        place = data.index(b"compression\0compression\0")
        path.write_bytes(data[:place] + attribute + data[place:])
        if fine:
            check_named(path)
            continue
        with pytest.raises(SceneError, match="picture.exr' has the chromaticities 0.713, .* not those of Rec. 709"):
            check_named(path)
