"""Rendered pictures kept on disk."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

__all__ = ["ENVIRONMENT", "cached_pictures"]

ENVIRONMENT = "INVOPT_CACHE_DIR"
_logger = logging.getLogger("invopt.rendering")


def cached_pictures(key: str, render: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
    """Pictures of that name from the cache, or rendered and put there; a folder that takes nothing costs a warning."""
    path = _folder() / f"{key}.safetensors"
    if path.is_file():
        try:
            return _read(path)
        except (SafetensorError, KeyError) as error:
            _logger.warning("invopt: %s is damaged (%s) and rendered anew", path, error)
    pictures = np.ascontiguousarray(render(), dtype=np.float32)
    try:
        _write(path, pictures)
    except OSError as error:
        _logger.warning("invopt: the rendered pictures could not be kept (%s); set %s", error, ENVIRONMENT)
    return pictures


def _folder() -> Path:
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
    # Written aside and then renamed: two processes may do this at once, and one may be killed.
    aside = path.with_name(f"{path.name}.{os.getpid()}")
    save_file({"pictures": pictures}, aside)
    aside.replace(path)
