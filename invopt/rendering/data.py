"""The Stanford bunny, or a procedural rabbit where it is not available."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invopt.exceptions import SceneError
from invopt.rendering.meshes import Mesh, join, revolve
from invopt.rendering.notes import warn_once

__all__ = ["ENVIRONMENT", "bunny", "find_mesh", "rabbit"]

# Variable that names the local folder.
ENVIRONMENT = "INVOPT_DATA_DIR"
_SOURCE = "https://raw.githubusercontent.com/mitsuba-renderer/mitsuba-data/master/common/meshes/"
_SHA256 = {
    "bunny.ply": "b9b363c443640e9e0ad202188457037241d6eb671fd575e188821fea4bd2042d",
    "bunny_lowres.ply": "2ca4b1c9206eb2768f10eeb06f30d2dcf576c21f69243335660c896605d1f0ab",
}
# Bounding box of bunny.ply: the middle of its lowest face, which goes to the origin, and its height, which becomes 1.
_SCAN_FOOT, _SCAN_HEIGHT = np.array([-0.0168, 0.0330, -0.0015]), 0.1543


def bunny(*, full: bool = False) -> dict[str, Any]:
    """Shape of the Stanford bunny, one unit high, at the origin, with y up.

    Where the mesh is not available, a rabbit takes its place, with a warning.
    """
    name = "bunny.ply" if full else "bunny_lowres.ply"
    path, why = find_mesh(name)
    if path is None:
        warn_once(f"the Stanford bunny is not available ({why}): a procedural rabbit takes its place")
        return {"type": "ply", "filename": rabbit()}
    to_world = np.diag([1 / _SCAN_HEIGHT, 1 / _SCAN_HEIGHT, 1 / _SCAN_HEIGHT, 1.0])
    to_world[:3, 3] = -_SCAN_FOOT / _SCAN_HEIGHT
    return {"type": "ply", "filename": str(path), "to_world": to_world}


def find_mesh(name: str) -> tuple[Path | None, str]:
    """Return the path of a mesh with the known checksum, or None and the reason."""
    folder = os.environ.get(ENVIRONMENT)
    if folder:
        path = Path(folder) / "meshes" / name
        if path.is_file():
            found = hashlib.sha256(path.read_bytes()).hexdigest()
            if found != _SHA256[name]:
                raise SceneError(f"{str(path)!r} is another mesh: its sha256 is {found} instead of {_SHA256[name]}")
            return path.absolute(), ""
    return _fetched(name, f"{ENVIRONMENT} has no meshes/{name}" if folder else f"{ENVIRONMENT} is not set")


def _fetched(name: str, why: str) -> tuple[Path | None, str]:
    try:
        import pooch
    except ImportError:
        return None, f"{why}, and pooch, which would download it, is not installed: pip install 'invopt[data]'"
    try:
        path = pooch.retrieve(_SOURCE + name, known_hash=_SHA256[name], path=pooch.os_cache("invopt"), fname=name)
    except (OSError, ValueError) as error:
        return None, f"{why}, and the download failed: {error}"
    return Path(path), ""


def rabbit() -> Mesh:
    """Rabbit of four ellipsoids, one unit high, standing at the origin, facing +x."""
    return join(
        _ellipsoid((0.34, 0.34, 0.3), (0.0, 0.32, 0.0)),
        _ellipsoid((0.2, 0.18, 0.17), (0.3, 0.62, 0.0)),
        _ellipsoid((0.07, 0.24, 0.06), (0.24, 0.76, 0.1)),
        _ellipsoid((0.07, 0.24, 0.06), (0.24, 0.76, -0.1)),
    )


def _ellipsoid(radii: tuple[float, float, float], middle: tuple[float, float, float]) -> Mesh:
    angle = np.linspace(-np.pi / 2, np.pi / 2, 13)
    profile = np.stack([np.cos(angle), np.sin(angle)], axis=1).clip([0, -1])
    ball = revolve(profile, 24)
    # Revolved about z, but y is up here. Swapping two axes turns the faces inside out, so that one axis is mirrored.
    points: NDArray[np.float64] = ball.vertices[:, [0, 2, 1]] * [1, 1, -1]
    return Mesh(points * radii + middle, ball.faces, ball.uv)
