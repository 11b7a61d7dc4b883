"""Mitsuba's names of scene parameters, all in one place."""

from __future__ import annotations

__all__ = ["FACES", "VERTEX_NORMALS", "VERTEX_POSITIONS", "VERTEX_TEXCOORDS", "to_world"]

# Parameters of a mesh.
VERTEX_POSITIONS = "vertex_positions"
VERTEX_NORMALS = "vertex_normals"
VERTEX_TEXCOORDS = "vertex_texcoords"
FACES = "faces"


def to_world(object_id: str) -> str:
    """Key of the pose of an instance, a camera or a light."""
    return f"{object_id}.to_world"
