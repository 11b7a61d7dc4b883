"""Content of a scene: its objects, and the files that they name."""

from __future__ import annotations

from typing import Any

from invopt.rendering.reading.loading import Blueprint, parsed
from invopt.rendering.reading.scene_properties import property_content

__all__ = ["scene_content"]


def scene_content(blueprint: Blueprint) -> list[Any]:
    """Objects of a scene as lists of plain values; needs an active backend.

    Made for `invopt.core.identity.digest`.

    Parameters
    ----------
    blueprint : Blueprint
        How to load the scene.

    Returns
    -------
    list
        For each object its type, plugin, name and properties. Files count by content, not by path.
    """
    with parsed(blueprint) as (_, state):
        return [_node(node.type, node.props) for node in state.nodes]


def _node(kind: Any, props: Any) -> list[Any]:
    # Sorted, because properties have no order.
    found = {key: property_content(props, key) for key in sorted(props.keys())}
    return [str(kind), props.plugin_name(), props.id(), found]
