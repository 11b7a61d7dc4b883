"""Renders that launch a recorded kernel instead of tracing the same one anew."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from invopt.rendering.backend import Backend, active

__all__ = ["FrozenRender", "ctrl_c_as_such", "owned"]

_logger = logging.getLogger("invopt.rendering")
# Renders of a kind, after the first, that are made both ways and compared; later those whose number is a power of 2.
_TRIALS = 3
# Samples of a picture above which tracing, some 3 ms, does not matter on a CPU.
_LARGE = 2**20
# Recordings after which the scene changes in ways that need a new one time and again.
_RECORDINGS = 24


class FrozenRender:
    """`mi.render` of one scene, its program traced once and launched again; bit for bit the same pictures.

    Tracing the light path's program takes about as long as running it for a small picture. `dr.freeze` records what is
    launched and launches it again, with the scene's buffers of that time. It sees those only of a scene that is an
    *argument* of the recorded function: one from the function's closure gives pictures of the past. And new buffers
    must be `owned`. Trust is earned: the first recorded pictures of each kind, and now and then a later one, are
    compared with ordinary ones; if any bit differs or recording fails, every picture from then on is an ordinary one.

    Parameters
    ----------
    scene : mitsuba.Scene
        What to render; its parameters may change in between.
    """

    def __init__(self, scene: Any) -> None:
        import mitsuba as mi

        self._mi = mi
        self._scene = scene
        self._on_gpu = active() is Backend.CUDA
        self._seen: Counter[tuple[int, int]] = Counter()
        self._frozen: Any = None
        if active() is not Backend.SCALAR:
            import drjit as dr

            self._frozen = dr.freeze(_render, limit=_RECORDINGS, warn_after=2 * _RECORDINGS)

    def __call__(self, *, seed: int, spp: int, sensor: int = 0) -> Any:
        """Linear image of one sensor, as `mi.render` returns it."""
        kind = (sensor, spp)
        self._seen[kind] += 1
        # What is rendered once, as a target is, is not worth recording.
        if self._frozen is None or self._seen[kind] == 1 or not self._worthwhile(sensor, spp):
            return self._plain(seed, spp, sensor)
        try:
            with ctrl_c_as_such():
                image = self._frozen(self._scene, self._mi.UInt32(seed), spp, sensor)
        except Exception as error:  # noqa: BLE001 - plugins that cannot be recorded raise all kinds
            return self._give_up(str(error), seed, spp, sensor)
        if self._doubted(kind) and not np.array_equal(image, self._plain(seed, spp, sensor), equal_nan=True):
            return self._give_up("a recorded picture differs", seed, spp, sensor)
        if self._frozen.n_recordings >= _RECORDINGS:
            self._give_up("the scene changes too much", seed, spp, sensor)
        return image

    def _doubted(self, kind: tuple[int, int]) -> bool:
        count = self._seen[kind]
        return count <= 1 + _TRIALS or count.bit_count() == 1

    def _worthwhile(self, sensor: int, spp: int) -> bool:
        width, height = self._scene.sensors()[sensor].film().crop_size()
        return self._on_gpu or bool(width * height * spp <= _LARGE)

    def _plain(self, seed: int, spp: int, sensor: int) -> Any:
        with ctrl_c_as_such():
            return self._mi.render(self._scene, sensor=sensor, spp=spp, seed=seed)

    def _give_up(self, why: str, seed: int, spp: int, sensor: int) -> Any:
        _logger.debug("invopt: every picture is traced: %s", why)
        self._frozen = None
        return self._plain(seed, spp, sensor)


@contextmanager
def ctrl_c_as_such() -> Iterator[None]:
    """Dr.Jit wraps what interrupts a render into a RuntimeError; an interrupt it is all the same."""
    try:
        yield
    except RuntimeError as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            cause = cause.__cause__ or cause.__context__
        raise


def owned(value: Any) -> Any:
    """An array in Dr.Jit's own memory, as every new parameter of a scene must be.

    Dr.Jit takes over the memory of a NumPy array without copying, and where that is not aligned as its own is, kernels
    recorded for other buffers give wrong pictures: one in three, for vertices.
    """
    import drjit as dr

    is_buffer = dr.is_tensor_v(value) or (dr.is_dynamic_v(value) and dr.depth_v(value) == 1)
    if not (is_buffer and dr.is_jit_v(value)):
        return value
    copied = value + dr.opaque(type(value.array if dr.is_tensor_v(value) else value), 0)
    dr.eval(copied)
    return copied


def _render(scene: Any, seed: Any, spp: int, sensor: int) -> Any:
    import mitsuba as mi

    return mi.render(scene, sensor=sensor, spp=spp, seed=seed)
