"""Path-traced references, kept on disk because they take long."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from invopt.plugin import FIRST_REFERENCE_SEED, digest
from invopt.rendering.reading.dictionaries import plain

from ...scenes.picture_cache import cached_pictures
from ..pictured_field import PicturedField

__all__ = ["reference"]


def reference(
    live: PicturedField,
    sensor: int = 0,
    *,
    spp: int = 1024,
    depth: int = 64,
    size: tuple[int, int] | None = None,
    seed: int = FIRST_REFERENCE_SEED,
    cache: Path | None = None,
) -> NDArray[np.float32]:
    """Return a path-traced picture, from the cache if it is there.

    Parameters
    ----------
    live : PicturedField
        The open scene.
    sensor : int, default 0
        Number of the camera.
    spp : int, default 1024
        Paths through each pixel.
    depth : int, default 64
        Maximum length of paths.
    size : (int, int), optional
        Width and height instead of the camera's.
    seed : int, default 2**31
        Seed, at least 2**31: no training uses such seeds.
    cache : Path, optional
        Folder; by default that of `picture_cache.cache_folder`.

    Returns
    -------
    ndarray of float32, shape (height, width, 3)
    """
    if seed < FIRST_REFERENCE_SEED:
        raise ValueError(f"'seed' of a reference must be >= 2**31: {seed}")
    # The name depends on the scene and the picture only, not on the field. A camera is named by its text, because
    # Mitsuba's transforms have no form in JSON.
    content = [live.problem.scene_label, repr(plain(sensor)), int(spp), int(depth), size and [*map(int, size)]]
    key = digest([*content, int(seed)], "the reference")[:24]

    def traced() -> NDArray[np.float32]:
        picture: NDArray[np.float32] = live.trace(sensor, spp=spp, seed=seed, depth=depth, size=size)
        return picture

    return cached_pictures(f"reference-{key}", traced, folder=cache)
