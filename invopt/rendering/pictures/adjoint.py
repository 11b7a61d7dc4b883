"""Pictures and integrators of the renderer's own derivative."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from invopt.rendering.values import renderer

__all__ = ["detached_picture", "limited"]


def detached_picture(scene: Any, sensor: int, seed: int, spp: int) -> Any:
    """Picture detached from all parameters, which collects its own derivative."""
    import drjit as dr

    # Untyped in Dr.Jit's stubs.
    suspended: Any = dr.suspend_grad
    with suspended():
        image = dr.detach(renderer().render(scene, sensor=sensor, spp=spp, seed=seed))
    dr.enable_grad(image)
    return image


@contextmanager
def limited(integrator: Any, max_depth: int | None) -> Iterator[Any]:
    """The integrator, with paths of at most `max_depth`."""
    kept = integrator.max_depth
    if max_depth is not None:
        integrator.max_depth = min(max_depth, kept)
    try:
        yield integrator
    finally:
        integrator.max_depth = kept
