"""Picture files that are truncated, damaged or misnamed are refused."""

import io
import random
from contextlib import suppress

import numpy as np
import pytest

from invopt import problems
from invopt.exceptions import SceneError
from invopt.rendering import Color, activate
from invopt.rendering.pictures.picture_files import SUFFIXES, check_whole
from invopt.rendering.pictures.targets import as_target, read_target

from .picture_files import HEIGHT, KINDS, LEVELS, PICTURE, WIDTH, make, named, pixels
from .rooms import room


@pytest.mark.render
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_cut_anywhere_is_refused_or_the_same(kind, tmp_path):
    path = make(named(tmp_path, kind))
    data, whole = path.read_bytes(), pixels(path)
    draw = random.Random(0)
    cuts = {draw.randrange(len(data)) for _ in range(20)} | {0, 1, len(data) // 2, len(data) - 1}
    accepted: list[int] = []
    for cut in sorted(cuts):
        path.write_bytes(data[:cut])
        with suppress(SceneError):
            np.testing.assert_array_equal(pixels(path), whole)
            # The last bytes of a PNG or TGA file hold no pixels.
            accepted.append(len(data) - cut)
    assert max(accepted, default=0) < 64


@pytest.mark.render
@pytest.mark.parametrize("kind", ["jpg", "progressive.jpg", "png", "deep.png", "hdr"])
def test_a_file_that_ends_in_zeros_is_refused(kind, tmp_path):
    """Such files remain from transfers that allocate the size first."""
    path = make(named(tmp_path, kind))
    data = path.read_bytes()
    for cut in (len(data) // 2, len(data) - 40):
        path.write_bytes(data[:cut] + bytes(len(data) - cut))
        with pytest.raises(SceneError, match=path.name):
            pixels(path)


FUZZ = """if True:
    import random, sys, warnings
    from pathlib import Path
    from invopt.exceptions import SceneError
    from invopt.rendering import activate
    from invopt.rendering.pictures.targets import as_target, read_target

    activate()
    warnings.simplefilter("ignore")
    for name in sys.argv[1:]:
        path, draw = Path(name), random.Random(1)
        data = path.read_bytes()
        for _ in range(150):
            changed = bytearray(data)
            for _ in range(draw.choice([1, 2, 8, 50])):
                changed[draw.randrange(len(data) if draw.random() < 0.5 else min(400, len(data)))] = draw.randrange(256)
            path.write_bytes(changed)
            try:
                read_target(as_target(path))
            except SceneError:
                pass
    print("done")
"""


@pytest.mark.render
def test_no_damage_ends_the_process_or_raises_anything_else(tmp_path, program):
    """Mitsuba's readers of BMP and TGA files write past their memory."""
    paths = [str(make(named(tmp_path, kind))) for kind in KINDS]
    run = program(FUZZ, *paths, timeout=250)
    assert run.returncode == 0, run.stderr[-2000:]
    assert "done" in run.stdout


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_that_hold_no_picture(suffix, tmp_path):
    for name, data, message in [
        ("empty", b"", "is empty"),
        ("text", b"hello, world\n" * 40, "does not begin as such a file|could not be read"),
        ("zeros", bytes(5000), "does not begin as such a file|could not be read"),
    ]:
        path = tmp_path / f"{name}{suffix}"
        path.write_bytes(data)
        with pytest.raises(SceneError, match=f"{name}{suffix}.*({message})"):
            as_target(path)


@pytest.mark.render
def test_a_name_that_says_another_kind(tmp_path):
    for kind in ("exr", "hdr", "pfm", "png", "jpg", "bmp"):
        data = make(named(tmp_path, kind)).read_bytes()
        for suffix in SUFFIXES:
            if {kind: kind, "jpg": "jpeg", "hdr": "rgbe"}.get(kind) == suffix[1:] or kind == suffix[1:]:
                continue
            path = tmp_path / f"misnamed{suffix}"
            path.write_bytes(data)
            with pytest.raises(SceneError, match=rf"misnamed{suffix}' is named as \w+, but holds \w+: rename it"):
                as_target(path)


PFM = PICTURE[:4, :6].astype("<f4").tobytes()


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"PF\n-6 4\n-1.0\n", "it says it has -6 x 4 pixels"),
        (b"PF\n6 -4\n-1.0\n", "it says it has 6 x -4 pixels"),
        (b"PF\n0 4\n-1.0\n", "it says it has 0 x 4 pixels"),
        (b"PF\n1000000 1000000\n-1.0\n", "288 bytes of pixels instead of 12000000000000"),
        (b"PF\n6 4\n0\n", "its scale is 0"),
        (b"PF\n6 4\n1e999\n", "its scale is 1e999"),
        (b"PF\n6 4\n-+-\n", "its scale is"),
        (b"PF\n6\n-1.0\n", "its header is not that of a PFM file"),
        (b"PF4\n6 4\n-1.0\n", "does not begin as such a file"),
        (b"Pf\n6 4\n-1.0\n", "288 bytes of pixels instead of 96"),
    ],
)
def test_headers_of_pfm_files(header, message, tmp_path):
    (tmp_path / "odd.pfm").write_bytes(header + PFM)
    with pytest.raises(SceneError, match=f"odd.pfm.*{message}"):
        as_target(tmp_path / "odd.pfm")


def radiance(header, size=b"-Y 4 +X 6"):
    return b"#?RADIANCE\n" + header + b"FORMAT=32-bit_rle_rgbe\n\n" + size + b"\n" + bytes([128, 64, 32, 128]) * 24


@pytest.mark.render
def test_headers_of_hdr_files(tmp_path):
    activate()
    path = tmp_path / "odd.hdr"
    for header in (
        b"EXPOSURE=2.0\n",
        b"EXPOSURE=1\nEXPOSURE= 0.5\n",
        b"COLORCORR=1 1 2\n",
        b"GAMMA=2.2\n",
        b"EXPOSURE=x\n",
    ):
        path.write_bytes(radiance(header))
        with pytest.raises(SceneError, match=r"odd.hdr' has \w+=.*, so its numbers are not radiance"):
            as_target(path)
    for size in (b"-Y -4 +X 6", b"-Y 400000 +X 600000", b"+Y 4 +X 6", b"-Y 4 -X 6", b"+X 6 -Y 4"):
        path.write_bytes(radiance(b"", size))
        with pytest.raises(SceneError, match="odd.hdr' is damaged"):
            read_target(as_target(path))
    path.write_bytes(radiance(b"EXPOSURE=1.0\n"))
    np.testing.assert_allclose(read_target(as_target(path))[0, 0], [0.5, 0.25, 0.125])


def test_a_thumbnail_inside_does_not_end_a_jpeg_file(tmp_path):
    from PIL import Image

    inner = io.BytesIO()
    Image.fromarray(LEVELS[:8, :8]).save(inner, "jpeg")
    exif = Image.Exif()
    exif[0x010E] = inner.getvalue().decode("latin-1")
    path = tmp_path / "photo.jpg"
    Image.fromarray(LEVELS).save(path, exif=exif.tobytes() + inner.getvalue())
    data = path.read_bytes()
    assert data.count(b"\xff\xd9") > 1
    check_whole(path)
    path.write_bytes(data[:-20])
    with pytest.raises(SceneError, match="a JPEG file that ends before its picture does"):
        check_whole(path)
    # A camera may put a film after the picture.
    path.write_bytes(data + b"more" * 100)
    check_whole(path)


@pytest.mark.render
@pytest.mark.parametrize("kind", ["jpg", "bmp", "tga", "pfm"])
def test_the_files_of_a_scene_are_whole_too(kind, tmp_path):
    path = make(named(tmp_path, kind))
    description = room()
    texture = {"type": "bitmap", "filename": str(path), "raw": True}
    description["picture"]["bsdf"] = {"type": "diffuse", "reflectance": texture}
    problem = problems.Scene(description, parameters=Color("ball.bsdf.reflectance"), x_opt={}, reference_spp=1)
    problem.open().close()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SceneError, match=path.name):
        problem.open()


@pytest.mark.render
def test_damaged_hdr_files_are_refused_before_mitsuba_sees_them(tmp_path):
    """Mitsuba's reader wrote past its memory, and the process ended."""
    path = make(tmp_path / "picture.hdr")
    data, whole = path.read_bytes(), pixels(path)
    assert whole.shape == (HEIGHT, WIDTH, 3)
    start = data.index(b"+X") + len(b"+X 24\n")
    draw = random.Random(1)
    noise = data[:start] + draw.randbytes(len(data) - start)
    packed = b"".join(bytes((2, 2, 0, WIDTH)) + bytes((128 + WIDTH, value)) * 4 for value in range(HEIGHT))
    path.write_bytes(data[:start] + packed)
    assert pixels(path).shape == (HEIGHT, WIDTH, 3)
    too_long = packed.replace(bytes((128 + WIDTH, 7)), bytes((128 + WIDTH + 1, 7)))
    sizes = [data.replace(b"+X 24", b"+X %d" % width) for width in (0, 23, 25, 10**9)]
    for wrong in (noise, data[:start] + too_long, data + b"more", data[:start] + packed[:-3], *sizes):
        path.write_bytes(wrong)
        with pytest.raises(SceneError, match="is damaged"):
            as_target(path)
