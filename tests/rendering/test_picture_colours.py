"""Picture files with rotation tags or other colour spaces."""

import struct

import pytest

from invopt.exceptions import SceneError
from invopt.rendering.pictures.picture_files import check_named

from .picture_files import LEVELS, make


def test_a_photograph_that_is_stored_turned(tmp_path):
    from PIL import Image

    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[274] = orientation
        path = tmp_path / f"photo{orientation}.jpg"
        Image.fromarray(LEVELS).save(path, exif=exif)
        if orientation == 1:
            check_named(path)
            continue
        with pytest.raises(
            SceneError, match=rf"stored rotated \(its EXIF orientation is {orientation}\): save it upright"
        ):
            check_named(path)


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
