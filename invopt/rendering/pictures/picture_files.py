"""Checks of picture files: complete, of the kind of their name, in known colours."""

from __future__ import annotations

import io
import math
import re
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invopt.exceptions import SceneError
from invopt.rendering.pictures.orientation import check_orientation, upright
from invopt.rendering.pictures.radiance_files import check_pixels

__all__ = ["SUFFIXES", "as_seen", "check_named", "check_whole", "decoded"]

SUFFIXES = (".exr", ".hdr", ".rgbe", ".pfm", ".png", ".jpg", ".jpeg", ".bmp", ".tga", ".tif", ".tiff")
# First bytes of each kind of file; TGA has none of its own.
_SIGNS = {
    "EXR": re.compile(rb"v/1\x01"),
    "HDR": re.compile(rb"#\?"),
    "PFM": re.compile(rb"P[Ff]\s"),
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "BMP": re.compile(rb"BM"),
    "TIFF": re.compile(rb"II\x2a\0|MM\0\x2a"),
}
# Bytes that are read to tell the kind: the longest sign has 8. Bytes of a header that are read: EXR and Radiance put no
# limit on it; files of cameras and renderers have some kilobytes.
_SIGN_BYTES, _HEADER_BYTES = 16, 65536
# Kinds that Pillow reads; TGA is another.
_DECODED = ("BMP", "TIFF")
# Kinds that have an orientation. Pillow itself turns those of TIFF when it reads their pixels.
_TAGGED = ("PNG", "JPEG")
_KINDS = {"jpg": "JPEG", "rgbe": "HDR", "tif": "TIFF"}
# Chromaticities of red, green, blue and white of Rec. 709, which sRGB has too; and how much those of a file may differ:
# some headers have two decimals.
_PRIMARIES = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
_PRIMARIES_TOLERANCE = 0.01
# Gamma that PNG files in sRGB have (PNG specification, second edition, 11.3.3.5), and how much that of a file may
# differ: 0.45 is written too.
_GAMMA = 1 / 2.2
_GAMMA_TOLERANCE = 0.01
# Share by which the exposure and the like in a Radiance header may differ from 1: they are written with few decimals.
_EXPOSURE_TOLERANCE = 1e-3
# Colours that a colour profile is tried on, and the levels of 255 by which it may change them and still be sRGB: other
# colour spaces, such as Display P3, change them by tens.
_TEST_COLORS = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (64, 128, 200), (128, 128, 128), (220, 220, 220)]
_MOST_CHANGE = 8


def check_named(path: Path) -> None:
    """Refuse a file of another kind than its name, or of unknown colours."""
    data = _contents(path, _HEADER_BYTES)
    kind = _kind_of(data)
    suffix = path.suffix[1:].lower()
    wanted = _KINDS.get(suffix, suffix.upper())
    if not data:
        raise SceneError(f"{str(path)!r} is empty")
    if kind != (None if wanted == "TGA" else wanted):
        found = "does not begin as such a file" if kind is None else f"holds {kind}: rename it"
        raise SceneError(f"{str(path)!r} is named as {wanted}, but {found}")
    check_whole(path)
    _CHECKS.get(kind or "TGA", _check_nothing)(path, data)


def check_whole(path: Path) -> None:
    """Refuse a file that ends too early, as after an interrupted transfer.

    Mitsuba reads an incomplete JPEG file as if it were complete.

    Parameters
    ----------
    path : Path
        Picture of any name. Mitsuba itself notices an incomplete EXR or PNG file.
    """
    kind = _kind_of(_contents(path, _SIGN_BYTES))
    if kind == "JPEG" and not _ends(_contents(path)):
        raise SceneError(f"{str(path)!r} is damaged: a JPEG file that ends before its picture does")
    if kind == "PFM":
        _check_pfm(path, _contents(path))
    if kind == "HDR":
        check_pixels(path, _contents(path))
    if kind in _DECODED or (kind is None and path.suffix.lower() == ".tga"):
        decoded(path)


def decoded(path: Path) -> NDArray[np.uint8] | NDArray[np.uint16] | None:
    """Pixels of a BMP, TGA or TIFF file, (h, w) or (h, w, c); None for other kinds.

    Mitsuba's readers of the first two write past their memory if a file is damaged, which ends the process; it has none
    of the third.
    """
    if _kind_of(_contents(path, _SIGN_BYTES)) not in _DECODED and path.suffix.lower() != ".tga":
        return None
    image = _opened(path)
    if image.mode.startswith("I;16"):
        return np.array(image).astype(np.uint16)
    if image.mode in ("I", "F"):
        raise SceneError(f"{str(path)!r} has numbers of 32 bits, whose meaning is unknown: save it as EXR, or with 16")
    mode = image.mode if image.mode in ("L", "LA", "RGB", "RGBA") else "RGBA" if "A" in image.mode else "RGB"
    return np.array(image.convert(mode))


def as_seen(path: Path, pixels: NDArray[Any]) -> NDArray[Any]:
    """Turn the stored pixels of a file upright, as its EXIF orientation says.

    Shape (h, w, c) of any kind of file; others than PNG, JPEG and TIFF have no orientation.
    """
    if _kind_of(_contents(path, _SIGN_BYTES)) not in _TAGGED:
        return pixels
    return upright(pixels, _opened(path))


def _contents(path: Path, count: int = -1) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise SceneError(f"{str(path)!r} could not be read: {error.strerror}") from None


def _kind_of(data: bytes) -> str | None:
    return next((kind for kind, sign in _SIGNS.items() if sign.match(data)), None)


# Complete files


def _ends(data: bytes) -> bool:
    """Whether a JPEG file reaches its end marker.

    Segments are followed one by one: a thumbnail inside has an end marker of its own.
    """
    place = 2
    while place + 2 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xD9:
            return True
        if marker == 0xFF or marker == 0x01 or 0xD0 <= marker <= 0xD7:
            place += 1 if marker == 0xFF else 2
            continue
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == 0xDA:
            place = _after_scan(data, place)
    return False


def _after_scan(data: bytes, place: int) -> int:
    """Position of the marker after the compressed pixels that begin at `place`.

    Restart markers and an escaped 255 do not end them.
    """
    while (place := data.find(b"\xff", place)) >= 0 and place + 1 < len(data):
        if data[place + 1] != 0 and not 0xD0 <= data[place + 1] <= 0xD7:
            return place
        place += 2
    return len(data)


def _check_pfm(path: Path, data: bytes) -> None:
    head = re.match(rb"(P[Ff])\s+(-?\d+)\s+(-?\d+)\s+([-+.\deE]+)\s", data)
    if head is None:
        raise SceneError(f"{str(path)!r} is damaged: its header is not that of a PFM file")
    width, height, channels = int(head[2]), int(head[3]), 3 if head[1] == b"PF" else 1
    if width < 1 or height < 1:
        raise SceneError(f"{str(path)!r} is damaged: it says it has {width} x {height} pixels")
    if not _is_scale(head[4]):
        raise SceneError(f"{str(path)!r} is damaged: its scale is {head[4].decode()}")
    wanted, found = 4 * width * height * channels, len(data) - head.end()
    if found != wanted:
        raise SceneError(f"{str(path)!r} is damaged: it has {found} bytes of pixels instead of {wanted}")


def _is_scale(text: bytes) -> bool:
    try:
        scale = float(text)
    except ValueError:
        return False
    return math.isfinite(scale) and scale != 0.0


# Meaning of the numbers


def _check_nothing(path: Path, data: bytes) -> None:
    return


def _check_photograph(path: Path, data: bytes) -> None:
    """Check that a PNG, JPEG or TIFF file is in sRGB, and its orientation is known."""
    image = _opened(path)
    check_orientation(path, image)
    profile, info = image.info.get("icc_profile"), image.info
    if profile:
        if not _is_srgb(profile):
            raise SceneError(f"{str(path)!r} has a colour profile that is not sRGB: convert it to sRGB first")
        return
    if "srgb" in info:
        return
    gamma, primaries = info.get("gamma", _GAMMA), info.get("chromaticity")
    # PNG files list white first.
    if abs(gamma - _GAMMA) > _GAMMA_TOLERANCE or (primaries and not _are_rec709((*primaries[2:], *primaries[:2]))):
        raise SceneError(f"{str(path)!r} says that its colours are not sRGB (gamma {gamma:.4g}): convert it first")


def _is_srgb(profile: bytes) -> bool:
    """Whether a colour profile changes the test colours by a few levels at most."""
    from PIL import Image, ImageCms

    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = "L" if own.profile.xcolor_space.strip() == "GRAY" else "RGB"
        given = Image.fromarray(np.array([_TEST_COLORS], dtype=np.uint8)).convert(mode)
        found = ImageCms.profileToProfile(given, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ImportError):
        return False
    change = np.asarray(found, dtype=int) - np.asarray(given.convert("RGB"), dtype=int)
    return int(np.abs(change).max()) <= _MOST_CHANGE


def _check_hdr(path: Path, data: bytes) -> None:
    """Check that the header of a Radiance file leaves its numbers as radiance."""
    header = data.split(b"\n\n", 1)[0].decode("latin-1")
    for name, value in re.findall(r"^(EXPOSURE|COLORCORR|GAMMA)\s*=\s*(.*)$", header, flags=re.MULTILINE):
        try:
            plain = all(math.isclose(float(number), 1.0, rel_tol=_EXPOSURE_TOLERANCE) for number in value.split())
        except ValueError:
            plain = False
        if not plain:
            raise SceneError(
                f"{str(path)!r} has {name}={value.strip()}, so its numbers are not radiance: save it with {name}=1"
            )


def _check_exr(path: Path, data: bytes) -> None:
    """Check that an EXR file has the primaries of Rec. 709, the default."""
    found = re.search(rb"\0chromaticities\0chromaticities\0\x20\0\0\0", data)
    if found and len(data) >= found.end() + 32:
        primaries = struct.unpack("<8f", data[found.end() : found.end() + 32])
        if not _are_rec709(primaries):
            shown = ", ".join(f"{value:.4g}" for value in primaries)
            raise SceneError(f"{str(path)!r} has the chromaticities {shown}, not those of Rec. 709: convert it first")


def _are_rec709(primaries: tuple[float, ...]) -> bool:
    return all(abs(a - b) < _PRIMARIES_TOLERANCE for a, b in zip(primaries, _PRIMARIES, strict=True))


_CHECKS = {
    "PNG": _check_photograph,
    "JPEG": _check_photograph,
    "TIFF": _check_photograph,
    "HDR": _check_hdr,
    "EXR": _check_exr,
}


def _opened(path: Path) -> Any:
    """Picture opened by Pillow, all of its pixels read."""
    from PIL import Image

    try:
        # Closed here: Pillow leaves the file open if it fails.
        with path.open("rb") as file, warnings.catch_warnings():
            # Pillow warns of large and unusual pictures, which it reads.
            warnings.simplefilter("ignore")
            image = Image.open(file)
            image.load()
    except (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError) as error:
        raise SceneError(f"{str(path)!r} could not be read: {error}") from None
    return image
