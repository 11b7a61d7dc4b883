"""Triangle meshes made in numpy, and written as PLY files for Mitsuba."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from invopt.core.validators import has_masked, plain, require

__all__ = ["Mesh", "join", "revolve", "sweep"]

# Vertices whose coordinates agree to this are one, as on both sides of a texture seam: 8 units in the last place of
# single precision, in which Mitsuba keeps them, at a coordinate of 1.
_WELD_DISTANCE = 1e-6


def _as_rows(name: str, columns: int, value: Any) -> NDArray[np.float64]:
    try:
        array = np.asarray(plain(value), dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):
        array = np.empty(0)
    rows = array.ndim == 2 and array.shape[1] == columns and len(array) > 0 and not has_masked(value)
    require(name, bool(rows and np.isfinite(array).all()), f"finite numbers of shape (v, {columns}), v >= 1", value)
    return array


def _as_vertices(value: Any) -> NDArray[np.float64]:
    return _as_rows("vertices", 3, value)


def _as_uv(value: Any) -> NDArray[np.float64]:
    return _as_rows("uv", 2, value)


def _as_faces(value: Any) -> NDArray[np.int64]:
    try:
        array = np.asarray(plain(value))
    except (TypeError, ValueError, RuntimeError):
        array = np.empty(0)
    whole = array.ndim == 2 and array.shape[1] == 3 and len(array) > 0 and array.dtype.kind in "iu"
    require("faces", whole and not has_masked(value), "integers of shape (f, 3), f >= 1", value)
    return array.astype(np.int64, copy=False)


@frozen(eq=False)
class Mesh:
    """Triangle mesh with smooth normals and texture coordinates.

    Parameters
    ----------
    vertices : ndarray of float64, shape (v, 3)
        Positions.
    faces : ndarray of int64, shape (f, 3)
        Vertex indices, counter-clockwise seen from outside.
    uv : ndarray of float64, shape (v, 2)
        Texture coordinates in [0, 1].
    """

    vertices: NDArray[np.float64] = field(converter=_as_vertices)
    faces: NDArray[np.int64] = field(converter=_as_faces)
    uv: NDArray[np.float64] = field(converter=_as_uv)

    def __attrs_post_init__(self) -> None:
        count = len(self.vertices)
        inside = self.faces.min() >= 0 and self.faces.max() < count
        require("faces", bool(inside), f"indices of vertices, from 0 to {count - 1}", self.faces)
        require("uv", len(self.uv) == count, f"of shape ({count}, 2), one row per vertex", self.uv.shape)

    def areas(self) -> NDArray[np.float64]:
        """Area of every face, shape (f,)."""
        areas: NDArray[np.float64] = 0.5 * np.linalg.norm(self._crosses(), axis=1)
        return areas

    def welded_faces(self) -> NDArray[np.int64]:
        """Faces, shape (f, 3), in which vertices at the same position have one index."""
        merged: NDArray[np.int64] = self._welded()[self.faces]
        return merged

    def normals(self) -> NDArray[np.float64]:
        """Unit normals of the vertices, shape (v, 3), equal on both sides of a seam."""
        places = self._welded()
        sums = np.zeros((int(places.max()) + 1, 3))
        # The length of a cross product is twice the area of the face: larger faces have more weight.
        for corner in range(3):
            np.add.at(sums, places[self.faces[:, corner]], self._crosses())
        normals = sums[places]
        length = np.linalg.norm(normals, axis=1, keepdims=True)
        # A vertex that no face uses has no normal; it stays 0.
        unit: NDArray[np.float64] = normals / np.where(length > 0, length, 1.0)
        return unit

    def write(self, path: Path) -> None:
        """Write a binary PLY file."""
        columns = ("x", "y", "z", "nx", "ny", "nz", "u", "v")
        header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(self.vertices)}"]
        header += [f"property float {name}" for name in columns]
        header += [f"element face {len(self.faces)}", "property list uchar int vertex_indices", "end_header"]
        vertices = np.concatenate([self.vertices, self.normals(), self.uv], axis=1).astype("<f4")
        faces = np.zeros(len(self.faces), dtype=[("count", "u1"), ("corners", "<i4", 3)])
        faces["count"], faces["corners"] = 3, self.faces
        path.write_bytes("\n".join([*header, ""]).encode() + vertices.tobytes() + faces.tobytes())

    def _welded(self) -> NDArray[np.int64]:
        """Index of the position of each vertex, shape (v,)."""
        places = np.round(self.vertices / _WELD_DISTANCE).astype(np.int64)
        numbers: NDArray[np.int64] = np.unique(places, axis=0, return_inverse=True)[1].reshape(-1)
        return numbers

    def _crosses(self) -> NDArray[np.float64]:
        a, b, c = (self.vertices[self.faces[:, corner]] for corner in range(3))
        crosses: NDArray[np.float64] = np.cross(b - a, c - a)
        return crosses


def join(*meshes: Mesh) -> Mesh:
    """Join meshes into one."""
    offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + offset for mesh, offset in zip(meshes, offsets, strict=True)]),
        np.concatenate([mesh.uv for mesh in meshes]),
    )


def revolve(profile: NDArray[np.float64], segments: int) -> Mesh:
    """Surface of revolution about the z axis.

    Parameters
    ----------
    profile : ndarray, shape (p, 2)
        Radius and height along the profile, p >= 2. The outside is to the right of the direction of travel (upwards on
        an outer wall). A radius of 0 is allowed at the ends only and closes the surface.
    segments : int
        Number of steps around the axis, at least 3.

    Returns
    -------
    Mesh
        With u around the axis and v along the profile.
    """
    angle = np.linspace(0.0, 2.0 * np.pi, segments + 1)
    radius, height = profile[:, 0], profile[:, 1]
    # The last column is the first one at u = 1. Its positions are copied, so that the seam closes to the last bit.
    direction = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    direction[-1] = direction[0]
    ring = direction[:, None, :] * radius[None, :, None]
    z = np.broadcast_to(height[None, :, None], (*ring.shape[:2], 1))
    vertices = np.concatenate([ring, z], axis=2).reshape(-1, 3)
    return _without_slivers(vertices, *_grid(angle / (2.0 * np.pi), _arc_length(profile)))


def sweep(path: NDArray[np.float64], radius: tuple[float, float], segments: int) -> Mesh:
    """Tube along a path in the plane y = 0, with flat caps at its ends.

    Parameters
    ----------
    path : ndarray, shape (p, 2)
        x and z of the tube's axis, p >= 2.
    radius : tuple of float
        Radii of the elliptical section: within the plane, and along y.
    segments : int
        Number of steps around the section, at least 3.

    Returns
    -------
    Mesh
        With u along the path and v around the section.
    """
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    normal = np.stack([tangent[:, 1], np.zeros(len(path)), -tangent[:, 0]], axis=1)
    centre = np.stack([path[:, 0], np.zeros(len(path)), path[:, 1]], axis=1)
    angle = np.linspace(0.0, 2.0 * np.pi, segments + 1)
    section = np.stack([radius[0] * np.cos(angle), -radius[1] * np.sin(angle)], axis=1)
    section[-1] = section[0]
    tube = centre[:, None] + section[None, :, :1] * normal[:, None] + section[None, :, 1:] * np.array([0.0, 1.0, 0.0])
    # A ring shrunk to its centre makes the cap at each end.
    capped = np.concatenate([np.broadcast_to(centre[0], tube[:1].shape), tube])
    capped = np.concatenate([capped, np.broadcast_to(centre[-1], tube[:1].shape)])
    along = _arc_length(path)
    along = np.concatenate([along[:1], along, along[-1:]])
    return _without_slivers(capped.reshape(-1, 3), *_grid(along, angle / (2.0 * np.pi)))


def _grid(u: NDArray[np.float64], v: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Faces and texture coordinates of a grid, two triangles a cell.

    It has len(u) rows and len(v) columns.
    """
    first = (np.arange(len(u) - 1)[:, None] * len(v) + np.arange(len(v) - 1)).ravel()
    corners = np.stack([first, first + len(v), first + len(v) + 1, first + 1], axis=1)
    faces = np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]]).astype(np.int64)
    uv = np.stack(np.broadcast_arrays(u[:, None], v[None, :]), axis=2).reshape(-1, 2)
    return faces, uv


def _without_slivers(vertices: NDArray[np.float64], faces: NDArray[np.int64], uv: NDArray[np.float64]) -> Mesh:
    """Remove faces without area, and vertices that no face uses."""
    welded = Mesh(vertices, faces, uv).welded_faces()
    a, b, c = welded.T
    kept = faces[(a != b) & (b != c) & (c != a)]
    used, compact = np.unique(kept, return_inverse=True)
    return Mesh(vertices[used], compact.reshape(kept.shape), uv[used])


def _arc_length(points: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    fraction: NDArray[np.float64] = lengths / lengths[-1]
    return fraction
