"""Writing a scene with its parameters at a point."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import torch
from numpy.typing import NDArray

from invopt.core.formatting import shown
from invopt.exceptions import SceneError
from invopt.rendering.backend import two_threads
from invopt.rendering.bound import BoundScene
from invopt.rendering.descriptions import look_at
from invopt.rendering.reading import keys, loading
from invopt.rendering.reading.loading import Blueprint
from invopt.rendering.scene import LiveScene
from invopt.rendering.values import renderer

__all__ = ["check", "save", "save_bound"]

# Materials with two indices of refraction in a file, whose ratio is the parameter "eta".
_DIELECTRIC = ("dielectric", "thindielectric", "roughdielectric", "plastic", "roughplastic")
# Defaults of Mitsuba's plugin "spot": beam width as a share of the cutoff angle, and cutoff angle in degrees.
_BEAM, _CUTOFF = 0.75, 20.0
# Share by which a number in the file may differ: Mitsuba writes some with five or six digits; and the difference near 0
# that single precision explains.
_TEXT_TOLERANCE, _TEXT_NEAR_ZERO = 1e-4, 1e-7


def save_bound(scene: BoundScene, blueprint: Blueprint, x: NDArray[np.float64], path: Path) -> None:
    """Write a scene with its parameters at `x`, check the file, and close the scene."""
    point = torch.from_numpy(x)
    try:
        motions, settings = scene.motions(point), scene.settings(point)
        scene.apply(point)
        meant = scene.live.values()
    finally:
        scene.close()
    save(blueprint, motions, settings, path)
    check(path, meant, settings)


def save(
    blueprint: loading.Blueprint,
    motions: Mapping[str, tuple[NDArray[np.float64], bool]],
    settings: Mapping[str, NDArray[np.float64]],
    path: Path,
) -> None:
    """Write a scene as an XML file.

    Textures and meshes that exist in memory only are written to files beside it.

    Parameters
    ----------
    blueprint : Blueprint
        The original scene.
    motions : mapping
        By object, a 4x4 matrix, and whether it is in the frame of the object.
    settings : mapping
        Values by Mitsuba's names.
    path : Path
        File to write. It refers to the files of the scene where they are.
    """
    mi = renderer()

    if path.suffix.lower() != ".xml":
        raise SceneError(f"a scene is saved as .xml: {str(path)!r}")
    path.parent.mkdir(parents=True, exist_ok=True)
    with loading.parsed(blueprint) as (_, state):
        names = loading.name_objects(state)
        for name, (matrix, local) in motions.items():
            _move(state.nodes[names[name]].props, matrix, local=local)
        for key, value in settings.items():
            _set(state, names, key, value, path)
        for number, node in enumerate(state.nodes):
            _keep_files(node.props, number, path)
        with loading.readable("cannot be written"):
            mi.parser.write_file(state, str(path))
        _write_names(path, [state.nodes[index] for index in names.values()])


def check(path: Path, meant: Mapping[str, NDArray[np.float64]], required: Collection[str]) -> None:
    """Load a written file; a parameter of another value is an error that names it.

    Parameters
    ----------
    path : Path
        The file.
    meant : mapping
        Values by Mitsuba's names. Those with another name in the file are not compared.
    required : collection of str
        Names that must be in the file.
    """
    kept = f"{str(path)!r} was written and is kept, but differs from the scene"
    try:
        live = LiveScene(loading.Blueprint(description=path.absolute(), variables={}))
    except SceneError as error:
        raise SceneError(f"{kept}: {error}") from None
    try:
        values = live.values()
    finally:
        live.close()
    for name, value in meant.items():
        if name in required and name not in values:
            raise SceneError(f"{kept}: it has no parameter {name!r}")
        if name in values and not _alike(values[name], value):
            raise SceneError(f"{kept}: its {name!r} is {_shown(values[name])} instead of {_shown(value)}")


def _alike(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    size = np.abs(b[np.isfinite(b)]).max(initial=0.0)
    return a.shape == b.shape and np.allclose(
        a, b, rtol=_TEXT_TOLERANCE, atol=_TEXT_TOLERANCE * size + _TEXT_NEAR_ZERO, equal_nan=True
    )


def _shown(value: NDArray[np.float64]) -> str:
    return np.array2string(value.ravel(), precision=6, threshold=16, separator=", ")


def _write_names(path: Path, nodes: list[Any]) -> None:
    """Name the objects at the top level; Mitsuba writes few of the names."""
    document = ElementTree.parse(path)
    elements = list(document.getroot())
    written = {element.get("id") for element in elements}
    for kind in {loading.kind(node) for node in nodes}:
        nameless = [element for element in elements if element.tag == kind and element.get("id") is None]
        left = [node for node in nodes if loading.kind(node) == kind and node.props.id() not in written]
        for element, node in zip(nameless, left, strict=True):
            element.set("id", node.props.id())
    document.write(path, encoding="utf-8", xml_declaration=True)


def _move(props: Any, matrix: NDArray[np.float64], *, local: bool) -> None:
    mi = renderer()

    if props.plugin_name() == "point" and keys.TO_WORLD not in props:
        place = np.array(props[keys.POSITION]).ravel() if keys.POSITION in props else np.zeros(3)
        props[keys.POSITION] = mi.ScalarPoint3f(*(matrix[:3, :3] @ place + matrix[:3, 3]))
        return
    own = _pose(props)
    props[keys.TO_WORLD] = mi.ScalarTransform4f(own @ matrix if local else matrix @ own)


def _pose(props: Any) -> NDArray[np.float64]:
    """Pose of an object in the scene; that of a directional light has its direction."""
    mi = renderer()

    if keys.TO_WORLD in props:
        return np.array(props[keys.TO_WORLD].matrix, dtype=np.float64).reshape(4, 4)
    if props.plugin_name() != "directional" or "direction" not in props:
        return np.eye(4)
    direction = np.array(props["direction"], dtype=np.float64).ravel()
    del props["direction"]
    direction /= np.linalg.norm(direction)
    # The frame of such a light in Mitsuba.
    up = np.array(mi.coordinate_system(mi.Vector3f(*direction.tolist()))[0], dtype=np.float64).ravel()
    return look_at((0.0, 0.0, 0.0), direction.tolist(), up.tolist())


def _set(state: Any, names: Mapping[str, int], key: str, value: NDArray[np.float64], path: Path) -> None:
    """Find the object that holds a parameter, from the top level down, and set it."""
    node, rest = _owner(state, names, key)
    parts = rest.split(".")
    while (child := _child(state, node, parts[0])) is not None:
        node, parts = child, parts[1:]
    props = node.props
    name = parts[0]
    if name in _SPECIAL and props.plugin_name() in _SPECIAL[name][0]:
        _SPECIAL[name][1](props, float(value.ravel()[0]))
    elif name == "data" and props.plugin_name() == "bitmap":
        _write_bitmap(props, value, path.with_name(f"{path.stem}_{re.sub(r'[^0-9A-Za-z]+', '_', key)}.exr"))
    elif parts in ([name], [name, "value"]) and value.size in (1, 3):
        props[name] = _as_property(value, props, name)
    else:
        raise SceneError(f"{shown(key)} cannot be written to a scene file: save `res.parameters` instead")


def _set_field_of_view(props: Any, value: float) -> None:
    if "focal_length" in props:
        del props["focal_length"]
    props["fov"], props["fov_axis"] = value, "x"


def _set_ratio(props: Any, value: float) -> None:
    props["int_ior"], props["ext_ior"] = value, 1.0


def _set_cutoff(props: Any, value: float) -> None:
    # Without a beam width in the file, it would change with the angle; in the renderer it does not.
    if "beam_width" not in props:
        props["beam_width"] = _BEAM * float(props.get("cutoff_angle", _CUTOFF))
    props["cutoff_angle"] = value


# Parameters that have another form in files, with their plugins.
_SPECIAL: dict[str, tuple[tuple[str, ...], Callable[[Any, float], None]]] = {
    keys.X_FOV: (("perspective", "thinlens"), _set_field_of_view),
    "eta": (_DIELECTRIC, _set_ratio),
    "cutoff_angle": (("spot",), _set_cutoff),
}


def _owner(state: Any, names: Mapping[str, int], key: str) -> tuple[Any, str]:
    # An object with a name inside another one is addressed by its name alone.
    indices = {node.props.id(): number for number, node in enumerate(state.nodes) if node.props.id()} | dict(names)
    parts = key.split(".")
    for end in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:end])
        if name in indices:
            return state.nodes[indices[name]], ".".join(parts[end:])
    raise SceneError(f"{shown(key)} cannot be written: its object has no name in the scene file")


def _child(state: Any, node: Any, name: str) -> Any:
    """Object inside an object, by its name in Mitsuba's parameters."""
    held = loading.children(node)
    if name in held:
        return state.nodes[held[name]]
    # Those without a name have that of their kind: bsdf, emitter, brdf_0.
    kind, _, number = name.partition("_")
    kind = "bsdf" if kind == "brdf" else kind
    alike = [state.nodes[index] for index in held.values() if loading.kind(state.nodes[index]) == kind]
    position = int(number) if number.isdigit() else 0
    return alike[position] if position < len(alike) else None


def _as_property(value: NDArray[np.float64], props: Any, name: str) -> Any:
    mi = renderer()

    if value.size == 1:
        return float(value.ravel()[0])
    if name == keys.POSITION:
        return mi.ScalarPoint3f(*value.tolist())
    return mi.ScalarColor3f(*value.tolist())


def _write_bitmap(props: Any, value: NDArray[np.float64], path: Path) -> None:
    mi = renderer()

    with two_threads():
        mi.Bitmap(np.ascontiguousarray(value, dtype=np.float32)).write(str(path))
    for name in ("bitmap", "data"):
        if name in props:
            del props[name]
    props["filename"] = str(path.absolute())
    if props.plugin_name() == "bitmap":
        props["raw"] = True


def _keep_files(props: Any, number: int, path: Path) -> None:
    """Refer to files by absolute path; copy temporary ones, write pixels in memory."""
    mi = renderer()

    if "bitmap" in props:
        _write_bitmap(props, np.array(props["bitmap"], dtype=np.float64), path.with_name(f"{path.stem}_{number}.exr"))
    if "filename" not in props:
        return
    file = Path(str(mi.file_resolver().resolve(props["filename"])))
    if file.parent.name.startswith(loading.TEMPORARY):
        kept = path.with_name(f"{path.stem}_{number}{file.suffix}")
        shutil.copyfile(file, kept)
        file = kept
    props["filename"] = str(file.absolute())
