"""Parameters as a scene itself has them."""

from __future__ import annotations

from collections.abc import Sequence

from invopt.plugin import one_at_a_time
from invopt.rendering.backend import activate
from invopt.rendering.bindings import Binding, Custom, ValueBinding
from invopt.rendering.parameter import Parameter
from invopt.rendering.reading.loading import Blueprint
from invopt.rendering.scene import LiveScene
from invopt.rendering.views import View

__all__ = ["scene_values"]


@one_at_a_time()
def scene_values(
    blueprint: Blueprint, bindings: Sequence[Binding], views: Sequence[View], backend: str | None
) -> dict[str, Parameter]:
    """Load a scene and return, by target, the parameters that its bindings set."""
    activate(backend)
    read = [item for item in bindings if isinstance(item, ValueBinding) and not isinstance(item, Custom)]
    live = LiveScene(blueprint, views)
    try:
        return {item.target: live.parameter(item.target) for item in read}
    finally:
        live.close()
