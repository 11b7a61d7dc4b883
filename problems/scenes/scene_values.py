"""Parameters as a scene itself has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from invopt.plugin import one_at_a_time
from invopt.rendering.backend import activate
from invopt.rendering.bindings import Binding, Custom, ValueBinding
from invopt.rendering.parameter import Parameter
from invopt.rendering.reading.loading import Blueprint
from invopt.rendering.scene import LiveScene
from invopt.rendering.shading.reasons import why_not_recorded
from invopt.rendering.views import View

__all__ = ["refused_bindings", "scene_values"]


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


@one_at_a_time()
def refused_bindings(
    blueprint: Blueprint,
    bindings: Sequence[Binding],
    views: Sequence[View],
    backend: str | None,
    own: Callable[[Binding], Parameter],
) -> dict[str, str]:
    """Load a scene and return, by label, why bindings that shade cannot be recorded."""
    activate(backend)
    live = LiveScene(blueprint, views)
    try:
        found = {item.label: why_not_recorded(item, live, partial(own, item)) for item in bindings if item.shades}
        return {label: reason for label, reason in found.items() if reason}
    finally:
        live.close()
