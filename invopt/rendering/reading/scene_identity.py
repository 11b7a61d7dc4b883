"""What a scene is made of: every object that Mitsuba's parser reads, and the contents of the files that they name."""

from __future__ import annotations

from typing import Any

from invopt.rendering.reading.loading import Blueprint, parsed
from invopt.rendering.reading.scene_properties import property_content

__all__ = ["scene_content"]


def scene_content(blueprint: Blueprint) -> list[Any]:
    """Objects of a scene as lists of plain values, for `invopt.core.identity.digest`; needs an active backend.

    Parameters
    ----------
    blueprint : Blueprint
        How to load the scene.

    Returns
    -------
    list
        For each object its type, plugin, name and properties; of files what they hold, not where they lie.
    """
    with parsed(blueprint) as (_, state):
        return [_node(node.type, node.props) for node in state.nodes]


def _node(kind: Any, props: Any) -> list[Any]:
    # Not a dictionary, and in no order.
    found = {key: property_content(props, key) for key in sorted(props.keys())}
    return [str(kind), props.plugin_name(), props.id(), found]
