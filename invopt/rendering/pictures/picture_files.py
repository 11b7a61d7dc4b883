"""Picture files: whole, of the kind that their names say, and meaning what a reader takes them for."""

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
from invopt.rendering.pictures.radiance_files import check_pixels

__all__ = ["SUFFIXES", "check_named", "check_whole", "decoded"]

SUFFIXES = (".exr", ".hdr", ".rgbe", ".pfm", ".png", ".jpg", ".jpeg", ".bmp", ".tga")
# How files of a kind begin; TGA alone has no sign of its own.
_SIGNS = {
    "EXR": re.compile(rb"v/1\x01"),
    "HDR": re.compile(rb"#\?"),
    "PFM": re.compile(rb"P[Ff]\s"),
    "PNG": re.compile(rb"\x89PNG\r\n\x1a\n"),
    "JPEG": re.compile(rb"\xff\xd8\xff"),
    "BMP": re.compile(rb"BM"),
}
# Bytes that tell the kind, and bytes in which headers end.
_SIGN, _HEADER = 16, 65536
_KINDS = {"jpg": "JPEG", "rgbe": "HDR"}
# Chromaticities of red, green, blue and white that the numbers of a picture are taken to have: Rec. 709, as sRGB.
_PRIMARIES = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
_GAMMA = 1 / 2.2
# The EXIF tag that says how to turn a picture before it is looked at.
_ORIENTATION = 274
# Colours by which a colour profile is judged, and the levels of 255 by which it may change them.
_COLORS = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (64, 128, 200), (128, 128, 128), (220, 220, 220)]
_LEVELS = 8


def check_named(path: Path) -> None:
    """Refuse a file whose contents are not what its name says, or not all of what its kind has."""
    data = _contents(path, _HEADER)
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
    """Refuse a file that ends too early, as one does whose transfer was cut; Mitsuba reads half a JPEG as a whole one.

    Parameters
    ----------
    path : Path
        Picture of any name; of EXR and PNG Mitsuba itself finds the end.
    """
    kind = _kind_of(_contents(path, _SIGN))
    if kind == "JPEG" and not _ends(_contents(path)):
        raise SceneError(f"{str(path)!r} is damaged: a JPEG file that ends before its picture does")
    if kind == "PFM":
        _check_pfm(path, _contents(path))
    if kind == "HDR":
        check_pixels(path, _contents(path))
    if kind == "BMP" or (kind is None and path.suffix.lower() == ".tga"):
        decoded(path)


def decoded(path: Path) -> NDArray[np.uint8] | None:
    """Pixels of a BMP or TGA file, of shape (h, w) or (h, w, c); None for other kinds.

    Mitsuba's own readers of these two write past their memory where such a file is damaged, and end the process.
    """
    if _kind_of(_contents(path, _SIGN)) != "BMP" and path.suffix.lower() != ".tga":
        return None
    image = _opened(path)
    mode = image.mode if image.mode in ("L", "LA", "RGB", "RGBA") else "RGBA" if "A" in image.mode else "RGB"
    return np.array(image.convert(mode))


def _contents(path: Path, count: int = -1) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as error:
        raise SceneError(f"{str(path)!r} could not be read: {error.strerror}") from None


def _kind_of(data: bytes) -> str | None:
    return next((kind for kind, sign in _SIGNS.items() if sign.match(data)), None)


# Whole files


def _ends(data: bytes) -> bool:
    """Whether a JPEG file comes to its end marker, segment by segment: a thumbnail inside has an end of its own."""
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
    """Where the compressed pixels from `place` on end: at a marker that is no restart and no escaped 255."""
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


# What the numbers mean


def _check_nothing(path: Path, data: bytes) -> None:
    return


def _check_photograph(path: Path, data: bytes) -> None:
    """A PNG or JPEG file: upright, in sRGB."""
    image = _opened(path)
    orientation = image.getexif().get(_ORIENTATION, 1)
    if orientation not in (0, 1):
        raise SceneError(f"{str(path)!r} is stored turned (its EXIF orientation is {orientation}): save it upright")
    profile, info = image.info.get("icc_profile"), image.info
    if profile:
        if not _is_srgb(profile):
            raise SceneError(f"{str(path)!r} has a colour profile that is not sRGB: convert it to sRGB first")
        return
    if "srgb" in info:
        return
    gamma, primaries = info.get("gamma", _GAMMA), info.get("chromaticity")
    # The order of a PNG file: white first.
    if abs(gamma - _GAMMA) > 0.01 or (primaries and not _are_ours((*primaries[2:], *primaries[:2]))):
        raise SceneError(f"{str(path)!r} says that its colours are not sRGB (gamma {gamma:.4g}): convert it first")


def _is_srgb(profile: bytes) -> bool:
    """Whether a profile leaves colours what they are in sRGB, all but a few levels."""
    from PIL import Image, ImageCms

    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        mode = "L" if own.profile.xcolor_space.strip() == "GRAY" else "RGB"
        given = Image.fromarray(np.array([_COLORS], dtype=np.uint8)).convert(mode)
        found = ImageCms.profileToProfile(given, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ImportError):
        return False
    change = np.asarray(found, dtype=int) - np.asarray(given.convert("RGB"), dtype=int)
    return int(np.abs(change).max()) <= _LEVELS


def _check_hdr(path: Path, data: bytes) -> None:
    """A Radiance file: the numbers are radiance only if its header divides them by nothing."""
    header = data.split(b"\n\n", 1)[0].decode("latin-1")
    for name, value in re.findall(r"^(EXPOSURE|COLORCORR|GAMMA)\s*=\s*(.*)$", header, flags=re.MULTILINE):
        try:
            plain = all(math.isclose(float(number), 1.0, rel_tol=1e-3) for number in value.split())
        except ValueError:
            plain = False
        if not plain:
            raise SceneError(
                f"{str(path)!r} says {name}={value.strip()}, which its numbers are not free of: save it with {name}=1"
            )


def _check_exr(path: Path, data: bytes) -> None:
    """An EXR file: red, green and blue are those of Rec. 709 unless its header says otherwise."""
    found = re.search(rb"\0chromaticities\0chromaticities\0\x20\0\0\0", data)
    if found and len(data) >= found.end() + 32:
        primaries = struct.unpack("<8f", data[found.end() : found.end() + 32])
        if not _are_ours(primaries):
            shown = ", ".join(f"{value:.4g}" for value in primaries)
            raise SceneError(f"{str(path)!r} has the chromaticities {shown}, not those of Rec. 709: convert it first")


def _are_ours(primaries: tuple[float, ...]) -> bool:
    return all(abs(a - b) < 0.01 for a, b in zip(primaries, _PRIMARIES, strict=True))


_CHECKS = {
    "PNG": _check_photograph,
    "JPEG": _check_photograph,
    "HDR": _check_hdr,
    "EXR": _check_exr,
}


def _opened(path: Path) -> Any:
    """The file as Pillow opens it, all of its pixels read."""
    from PIL import Image

    try:
        # The file is ours to close: where Pillow fails, it leaves it open.
        with path.open("rb") as file, warnings.catch_warnings():
            # Of large pictures, and of odd ones that it reads all the same.
            warnings.simplefilter("ignore")
            image = Image.open(file)
            image.load()
    except (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError) as error:
        raise SceneError(f"{str(path)!r} could not be read: {error}") from None
    return image
