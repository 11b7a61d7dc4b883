"""Renders that launch a recorded kernel instead of tracing the same one anew."""

from __future__ import annotations

from collections import Counter
from typing import Any

from invopt.rendering.backend import active
from invopt.rendering.choice import Backend
from invopt.rendering.recorded import Recorded

__all__ = ["FrozenRender"]

# Samples of a picture above which a recording saves no time on a CPU. Measured on 2 cores with the scene of
# tests/rendering/test_frozen.py, ordinary and recorded: 768 samples 35 and 0.8 ms, 98,304 samples 130 and 95 ms,
# 786,432 samples 0.7 s both.
_MOST_RECORDED_SAMPLES = 2**20


class FrozenRender:
    """`mi.render` of one scene, recorded where that saves time.

    The pictures are the same bit for bit; see `Recorded`.

    Parameters
    ----------
    scene : mitsuba.Scene
        What to render; its parameters may change in between.

    Attributes
    ----------
    program : Recorded or None
        The recorded render; None on the scalar backend, which traces nothing.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._on_gpu = active() is Backend.CUDA
        self._renders: Counter[tuple[int, int]] = Counter()
        self.program = None if active() is Backend.SCALAR else Recorded(_render)

    def __call__(self, *, seed: int, spp: int, sensor: int = 0) -> Any:
        """Linear image of one sensor, as `mi.render` returns it."""
        import mitsuba as mi

        kind = (sensor, spp)
        self._renders[kind] += 1
        if self.program is None:
            return _render(self._scene, seed, spp, sensor)
        # A picture that is rendered once, as a target is, is not worth a recording.
        if self._renders[kind] == 1 or not self._pays(sensor, spp):
            return self.program.ordinary(self._scene, seed, spp, sensor)
        return self.program(self._scene, mi.UInt32(seed), spp, sensor, kind=kind)

    def _pays(self, sensor: int, spp: int) -> bool:
        width, height = self._scene.sensors()[sensor].film().crop_size()
        return self._on_gpu or bool(width * height * spp <= _MOST_RECORDED_SAMPLES)


def _render(scene: Any, seed: Any, spp: int, sensor: int) -> Any:
    import mitsuba as mi

    return mi.render(scene, sensor=sensor, spp=spp, seed=seed)
