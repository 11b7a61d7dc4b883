"""Rendered pictures, kept on disk."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

__all__ = ["ENVIRONMENT", "cache_folder", "cached_pictures"]

# Environment variable that names the folder.
ENVIRONMENT = "INVOPT_CACHE_DIR"
_logger = logging.getLogger("invopt.rendering")


def cached_pictures(
    key: str, render: Callable[[], NDArray[np.float32]], *, folder: str | Path | None = None
) -> NDArray[np.float32]:
    """Return pictures from the cache; render and write them if they are not there.

    By default the cache is `cache_folder`.

    If they cannot be written, a warning is logged.
    """
    path = (cache_folder() if folder is None else Path(folder)) / f"{key}.safetensors"
    if path.is_file():
        try:
            return _read(path)
        except (SafetensorError, KeyError) as error:
            _logger.warning("invopt: %s is damaged (%s): the pictures are rendered again", path, error)
    pictures = np.ascontiguousarray(render(), dtype=np.float32)
    try:
        _write(path, pictures)
    except OSError as error:
        _logger.warning(
            "invopt: the rendered pictures could not be written (%s); name another folder in %s", error, ENVIRONMENT
        )
    return pictures


def cache_folder() -> Path:
    """Return the folder that INVOPT_CACHE_DIR names, or the user's cache."""
    import platformdirs

    named = os.environ.get(ENVIRONMENT)
    return Path(named) if named else platformdirs.user_cache_path("invopt")


def _read(path: Path) -> NDArray[np.float32]:
    from safetensors.numpy import load_file

    found: NDArray[np.float32] = load_file(path)["pictures"]
    return found


def _write(path: Path, pictures: NDArray[np.float32]) -> None:
    from safetensors.numpy import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    # Written under another name and then renamed: two processes may write at once, and one may be killed.
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    save_file({"pictures": pictures}, aside)
    aside.replace(path)
