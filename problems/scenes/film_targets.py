"""Targets of a camera's film, and pictures side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invopt.rendering import Photograph
from invopt.rendering.photographs.averaging import kernel_of
from invopt.rendering.photographs.development import Film, develop
from invopt.rendering.photographs.target import Target
from invopt.rendering.pictures.targets import matched, read_target

__all__ = ["as_target_of", "side_by_side"]


def as_target_of(
    source: Path | NDArray[np.float32] | Photograph, film: Any, size: tuple[int, int], channels: int
) -> Target:
    """Return the target of a film of this width, height and number of channels."""
    if isinstance(source, Photograph):
        return develop(source, Film((size[1], size[0]), channels, *kernel_of(film)))
    return Target(picture=matched(read_target(source), size, channels))


def side_by_side(pictures: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Join pictures side by side, with black below shorter ones.

    The shape is (h, w) if all of them are luminance.
    """
    if all(picture.shape[2] == 1 for picture in pictures):
        return side_by_side([np.repeat(picture, 3, axis=2) for picture in pictures])[:, :, 0]
    if len(pictures) == 1:
        return pictures[0]
    height = max(picture.shape[0] for picture in pictures)
    pictures = [np.broadcast_to(picture, (*picture.shape[:2], 3)) for picture in pictures]
    padded = [np.pad(picture, ((0, height - picture.shape[0]), (0, 0), (0, 0))) for picture in pictures]
    return np.concatenate(padded, axis=1)
