"""Path-traced reference pictures, cached on disk."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from invopt.plugin import FIRST_REFERENCE_SEED, digest
from invopt.rendering.reading.dictionaries import plain

from ..open_scene import OpenScene

__all__ = ["ENVIRONMENT", "cache_folder", "reference"]

# Variable that names the folder of references.
ENVIRONMENT = "INVOPT_CACHE_DIR"


def cache_folder() -> Path:
    """Folder of references: INVOPT_CACHE_DIR, else the cache of the user."""
    own = os.environ.get(ENVIRONMENT)
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "invopt"


def reference(
    live: OpenScene,
    sensor: int = 0,
    *,
    spp: int = 1024,
    depth: int = 64,
    size: tuple[int, int] | None = None,
    seed: int = FIRST_REFERENCE_SEED,
    cache: Path | None = None,
) -> NDArray[np.float32]:
    """Path-traced picture, from the cache if it is there.

    Parameters
    ----------
    live : OpenScene
        The open scene.
    sensor : int, default 0
        Index of the camera.
    spp : int, default 1024
        Paths through a pixel.
    depth : int, default 64
        Longest path.
    size : (int, int), optional
        Width and height, instead of the camera's.
    seed : int, default 2**31
        Seed, at least 2**31, which no training uses.
    cache : Path, optional
        Folder, instead of `cache_folder`.

    Returns
    -------
    ndarray of float32, shape (height, width, 3)
    """
    if seed < FIRST_REFERENCE_SEED:
        raise ValueError(f"'seed' of a reference must be >= 2**31: {seed}")
    # A reference depends on the scene and the view only. Transforms of Mitsuba have no form in JSON.
    facts = [live.problem.scene_label, repr(plain(sensor)), int(spp), int(depth), size and [*map(int, size)]]
    key = digest([*facts, int(seed)], "the reference")[:24]
    path = (cache_folder() if cache is None else Path(cache)) / f"reference-{key}.npy"
    if path.exists():
        kept: NDArray[np.float32] = np.load(path)
        return kept
    picture: NDArray[np.float32] = live.trace(sensor, spp=spp, seed=seed, depth=depth, size=size)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.npy")
    np.save(temporary, picture)
    os.replace(temporary, path)
    return picture
