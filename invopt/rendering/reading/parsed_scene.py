"""Checks of a parsed scene before Mitsuba makes it.

It must be complete, with whole files and pictures that can be compared.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from invopt.core.formatting import shown
from invopt.exceptions import SceneError
from invopt.rendering.pictures.picture_files import check_whole
from invopt.rendering.values import from_mitsuba, renderer

__all__ = ["check_complete", "check_pictures", "check_transforms", "nodes", "plain_film", "plain_texture"]

# Pixel formats of a film, and those that are compared; targets are opaque, so that alpha is left out.
_PIXELS = {"rgb": "rgb", "rgba": "rgb", "luminance": "luminance", "luminance_alpha": "luminance"}


def nodes(state: Any, kind: Any) -> list[Any]:
    """Objects of a kind."""
    return [node for node in state.nodes if node.type == kind]


def check_complete(state: Any, *, camera: bool = True) -> None:
    """Refuse a scene without a light, or if `camera` without one of these."""
    mi = renderer()

    if camera and not nodes(state, mi.ObjectType.Sensor):
        raise SceneError("the scene has no sensor: add a camera, such as {'type': 'perspective', ...}")
    if not nodes(state, mi.ObjectType.Emitter):
        raise SceneError("the scene has no emitter, so every picture of it is black: add a light")


def plain_film(film: Any) -> None:
    """Make pictures linear RGB or luminance."""
    if film.plugin_name() != "hdrfilm":
        raise SceneError(f"the film {film.plugin_name()!r} has no pictures of colour or luminance: use 'hdrfilm'")
    given = str(film.get("pixel_format", "rgb")).lower()
    if given not in _PIXELS:
        raise SceneError(f"the film has pixel_format {given!r}, which no target has: use one of {', '.join(_PIXELS)}")
    film["pixel_format"] = _PIXELS[given]
    film["component_format"] = "float32"


def plain_texture(texture: Any) -> None:
    """Make texels floats from 0 to 1; those of 8-bit files would stay integers."""
    if texture.plugin_name() == "bitmap":
        texture["format"] = "variant"


def check_pictures(state: Any) -> None:
    """Refuse textures and environments whose files are incomplete."""
    mi = renderer()

    for node in state.nodes:
        if node.type in (mi.ObjectType.Texture, mi.ObjectType.Emitter) and "filename" in node.props:
            path = Path(str(mi.file_resolver().resolve(str(node.props["filename"]))))
            if path.is_file():
                check_whole(path)


def check_transforms(state: Any) -> None:
    """Refuse poses without an inverse, with which the ray tracer is undefined."""
    for node in state.nodes:
        for key in node.props.keys():  # noqa: SIM118 - not a dictionary
            value = node.props[key]
            if hasattr(value, "inverse_transpose"):
                matrix = from_mitsuba(value)
                if not np.isfinite(matrix).all() or np.linalg.det(matrix) == 0.0:
                    name = node.props.id() or node.props.plugin_name()
                    raise SceneError(f"the {shown(key)} of {name!r} has no inverse: {matrix.tolist()}")
