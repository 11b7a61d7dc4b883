"""Loading of Mitsuba's scene from a file or a dictionary.

Objects are named, moving shapes become instances, errors become readable.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

from invopt.core.machine.turn import one_at_a_time
from invopt.exceptions import SceneError
from invopt.rendering.backend import two_threads
from invopt.rendering.reading import keys
from invopt.rendering.reading.adjoints import differentiable
from invopt.rendering.reading.dictionaries import Description, live
from invopt.rendering.reading.parsed_scene import (
    check_complete,
    check_pictures,
    check_transforms,
    nodes,
    plain_film,
    plain_texture,
)
from invopt.rendering.values import renderer

__all__ = [
    "TEMPORARY",
    "Blueprint",
    "children",
    "kind",
    "load",
    "name_objects",
    "parsed",
    "readable",
]

# Prefix of the folder for files that exist only while a scene is loaded.
TEMPORARY = "invopt-"


@frozen(kw_only=True, eq=False)
class Blueprint:
    """How to load a scene.

    Parameters
    ----------
    description : Path, dict or callable
        The scene.
    variables : mapping of str to str
        Values of the ``$variables`` of an XML file.
    moving : collection of str, default ()
        Shapes that will move; they become instances if possible.
    integrator : str, optional
        Load for derivatives by this integrator; "auto" is the scene's own, or its counterpart. Shapes are then not made
        instances, because Mitsuba has no derivative with respect to the pose of an instance.
    camera : bool, default True
        Whether the scene must have a camera.
    """

    description: Description
    variables: Mapping[str, str]
    moving: Collection[str] = ()
    integrator: str | None = None
    camera: bool = True


def load(blueprint: Blueprint) -> tuple[Any, dict[str, str]]:
    """Load Mitsuba's scene, and the names of shared objects by key.

    The keys are those that refer to the objects: "box.bsdf" to "paint".


    Needs an active backend. Every failure is a `SceneError`.
    """
    mi = renderer()

    with parsed(blueprint) as (config, state):
        names = name_objects(state)
        check_complete(state, camera=blueprint.camera)
        shared = _references(state, names)
        _add_integrator(state)
        if blueprint.integrator is not None:
            for node in _integrators(state):
                node.props = differentiable(node.props, blueprint.integrator)
        else:
            for moving in blueprint.moving:
                if moving in names:
                    _to_instance(state, names[moving])
        for node in nodes(state, mi.ObjectType.Film):
            plain_film(node.props)
        for node in nodes(state, mi.ObjectType.Texture):
            plain_texture(node.props)
        check_pictures(state)
        check_transforms(state)
        with readable("could not be loaded"):
            mi.parser.transform_all(config, state)
            return mi.parser.instantiate(config, state), shared


@contextmanager
def parsed(blueprint: Blueprint) -> Iterator[tuple[Any, Any]]:
    """Parser configuration and state of a scene, while its temporary files exist."""
    mi = renderer()

    config = mi.parser.ParserConfig(mi.variant())
    # Merging would rename objects and their parameters.
    config.merge_equivalent = config.merge_meshes = False
    description = blueprint.description
    with (
        one_at_a_time(),
        tempfile.TemporaryDirectory(prefix=TEMPORARY) as folder,
        _file_resolver() as resolver,
        two_threads(),
    ):
        if isinstance(description, Path):
            resolver.prepend(str(description.parent))
            with readable(f"{str(description)!r} could not be read"):
                state = mi.parser.parse_file(config, str(description), **blueprint.variables)
        else:
            built = description() if callable(description) else description
            if not isinstance(built, Mapping):
                raise SceneError(f"'scene' must build a dictionary: {type(built).__name__}")
            with readable("is not a valid dictionary"):
                state = mi.parser.parse_dict(config, live(built, Path(folder)))
        yield config, state


@contextmanager
def _file_resolver() -> Iterator[Any]:
    """A file resolver for one scene; the former one is restored afterwards."""
    mi = renderer()

    before = mi.file_resolver()
    resolver = mi.FileResolver(before)
    mi.set_file_resolver(resolver)
    try:
        yield resolver
    finally:
        mi.set_file_resolver(before)


@contextmanager
def readable(what: str) -> Iterator[None]:
    """Turn Mitsuba's errors into `SceneError`, without positions in its source."""
    try:
        yield
    except SceneError:
        raise
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        text = re.sub(r"\[\w+\.(cpp|h):\d+\] ", "", str(error)).strip()
        raise SceneError(f"the scene {what}: {text}") from None


def children(node: Any) -> dict[str, int]:
    """Indices of the objects inside an object, by the name of the property."""
    mi = renderer()

    held = {key: node.props[key] for key in node.props.keys()}  # noqa: SIM118 - not a dictionary
    return {key: item.index() for key, item in held.items() if isinstance(item, mi.Properties.ResolvedReference)}


def name_objects(state: Any) -> dict[str, int]:
    """Index of each object at the top level by its name.

    An object without a name is named after its kind: "sensor", "shape_2".
    """
    names: dict[str, int] = {}
    for index in children(state.root).values():
        node = state.nodes[index]
        name = node.props.id() or _free(kind(node), names)
        node.props.set_id(name)
        names[name] = index
    return names


def _references(state: Any, names: Mapping[str, int]) -> dict[str, str]:
    """Names of shared objects by the keys that refer to them.

    Mitsuba's parameters do not mention these keys.
    """
    mi = renderer()

    found = {}
    for holder, index in names.items():
        props = state.nodes[index].props
        held = {key: props[key] for key in props.keys()}  # noqa: SIM118 - not a dictionary
        for key, item in held.items():
            if isinstance(item, mi.Properties.Reference) and item.id() in names:
                found[f"{holder}.{key}"] = item.id()
                # In a file, the reference of a shape to its material has no name.
                found[f"{holder}.{kind(state.nodes[names[item.id()]])}"] = item.id()
    return found


def kind(node: Any) -> str:
    """Kind of an object: "shape", "bsdf", "emitter"."""
    return str(node.type).rpartition(".")[2].lower()


def _free(name: str, taken: Collection[str]) -> str:
    number = 1
    candidate = name
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    return candidate


def _integrators(state: Any) -> list[Any]:
    mi = renderer()

    # Plugins written in Python have no type until they are made.
    return nodes(state, mi.ObjectType.Integrator) + nodes(state, mi.ObjectType.Unknown)


def _add_integrator(state: Any) -> None:
    """Add path tracing if the scene has no integrator."""
    mi = renderer()

    if not _integrators(state):
        node = mi.parser.SceneNode()
        node.type, node.props = mi.ObjectType.Integrator, mi.Properties("path")
        node.props.set_id("integrator")
        state.nodes.append(node)
        state.root.props["integrator"] = mi.Properties.ResolvedReference(len(state.nodes) - 1)


def _to_instance(state: Any, index: int) -> None:
    """Replace a mesh by an instance of it, which is cheap to move."""
    mi = renderer()

    node = state.nodes[index]
    name, plugin = node.props.id(), node.props.plugin_name()
    if node.type != mi.ObjectType.Shape or plugin not in {"ply", "obj", "serialized", "cube"} or _shines(state, node):
        return
    group, instance = mi.parser.SceneNode(), mi.parser.SceneNode()
    group.type = instance.type = mi.ObjectType.Shape
    member = mi.parser.SceneNode(node)
    member.props.set_id(keys.member_of(name))
    state.nodes.append(member)
    group.props = mi.Properties("shapegroup")
    group.props.set_id(keys.group_of(name))
    group.props["shape"] = mi.Properties.ResolvedReference(len(state.nodes) - 1)
    state.nodes.append(group)
    instance.props = mi.Properties("instance")
    instance.props.set_id(name)
    instance.props["group"] = mi.Properties.ResolvedReference(len(state.nodes) - 1)
    instance.props[keys.TO_WORLD] = mi.ScalarTransform4f()
    state.nodes[index] = instance
    state.root.props[keys.group_of(name)] = mi.Properties.ResolvedReference(len(state.nodes) - 1)


def _shines(state: Any, node: Any) -> bool:
    """Whether a shape is a light, which a group cannot hold."""
    mi = renderer()

    return any(state.nodes[index].type == mi.ObjectType.Emitter for index in children(node).values())
