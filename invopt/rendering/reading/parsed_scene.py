"""What a parsed scene must be like before Mitsuba makes it: complete, its files whole, its pictures comparable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from invopt.core.formatting import shown
from invopt.exceptions import SceneError
from invopt.rendering.pictures.picture_files import check_whole
from invopt.rendering.values import from_mitsuba, renderer

__all__ = ["check_complete", "check_pictures", "check_transforms", "nodes", "plain_film", "plain_texture"]

# Formats of a film, and what is compared: an alpha channel is of no use to a comparison with an opaque target.
_PIXELS = {"rgb": "rgb", "rgba": "rgb", "luminance": "luminance", "luminance_alpha": "luminance"}


def nodes(state: Any, kind: Any) -> list[Any]:
    """Objects of a kind."""
    return [node for node in state.nodes if node.type == kind]


def check_complete(state: Any) -> None:
    """Refuse a scene of which there are no pictures but black ones."""
    mi = renderer()

    if not nodes(state, mi.ObjectType.Sensor):
        raise SceneError("the scene has no sensor: add a camera, such as {'type': 'perspective', ...}")
    if not nodes(state, mi.ObjectType.Emitter):
        raise SceneError("the scene has no emitter, so every picture of it is black: add a light")


def plain_film(film: Any) -> None:
    """Pictures as they are compared: linear RGB or luminance."""
    if film.plugin_name() != "hdrfilm":
        raise SceneError(f"the film {film.plugin_name()!r} takes no pictures of colour or luminance: use 'hdrfilm'")
    given = str(film.get("pixel_format", "rgb")).lower()
    if given not in _PIXELS:
        raise SceneError(
            f"the film has pixel_format {given!r}, in which no target is compared: use one of {', '.join(_PIXELS)}"
        )
    film["pixel_format"] = _PIXELS[given]
    film["component_format"] = "float32"


def plain_texture(texture: Any) -> None:
    """Texels as the numbers that a picture is made of, linear from 0 to 1: those of 8-bit files would stay integers."""
    if texture.plugin_name() == "bitmap":
        texture["format"] = "variant"


def check_pictures(state: Any) -> None:
    """Refuse textures and environments whose files are cut off."""
    mi = renderer()

    for node in state.nodes:
        if node.type in (mi.ObjectType.Texture, mi.ObjectType.Emitter) and "filename" in node.props:
            path = Path(str(mi.file_resolver().resolve(str(node.props["filename"]))))
            if path.is_file():
                check_whole(path)


def check_transforms(state: Any) -> None:
    """Refuse poses without an inverse, of which the ray tracer makes what it likes."""
    for node in state.nodes:
        for key in node.props.keys():  # noqa: SIM118 - not a dictionary
            value = node.props[key]
            if hasattr(value, "inverse_transpose"):
                matrix = from_mitsuba(value)
                if not np.isfinite(matrix).all() or np.linalg.det(matrix) == 0.0:
                    name = node.props.id() or node.props.plugin_name()
                    raise SceneError(f"the {shown(key)} of {name!r} has no inverse: {matrix.tolist()}")
