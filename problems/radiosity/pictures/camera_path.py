"""Pictures along a path of the camera."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from invopt.rendering.descriptions import camera

__all__ = ["path_between", "write_frames"]

# Frames that the strip shows side by side: as many as fit on a page.
_STRIP_FRAMES = 6
# Degree of the spline through the stops: speed and acceleration are continuous.
_SPLINE_DEGREE = 3


def path_between(
    stops: Sequence[tuple[ArrayLike, ArrayLike]],
    frames: int,
    *,
    up: tuple[float, float, float] = (0, 1, 0),
    **view: Any,
) -> Iterator[dict[str, Any]]:
    """Yield cameras on a smooth path through stops.

    Parameters
    ----------
    stops : sequence of (origin, target)
        Two or more positions, and the points at which the camera looks from there.
    frames : int
        Number of cameras, at least 2; the first and the last are at the ends of the path.
    up : (float, float, float), default (0, 1, 0)
        Upward direction.
    **view
        ``fov``, ``width`` and ``height`` of every camera; see `invopt.rendering.descriptions.camera`.

    Yields
    ------
    dict
        A description for `PicturedField.render`.
    """
    from scipy.interpolate import make_interp_spline

    if len(stops) < 2 or frames < 2:
        raise ValueError(f"'stops' and 'frames' must be at least 2: {len(stops)} and {frames}")
    points = np.array([np.concatenate([np.asarray(origin), np.asarray(target)]) for origin, target in stops])
    spline = make_interp_spline(np.linspace(0, 1, len(points)), points, k=min(_SPLINE_DEGREE, len(points) - 1))
    for place in spline(np.linspace(0, 1, frames)):
        yield camera(origin=place[:3].tolist(), target=place[3:].tolist(), up=up, **view)


def write_frames(
    live: Any,
    x: ArrayLike,
    cameras: Sequence[dict[str, Any]] | Iterator[dict[str, Any]],
    out: str | Path,
    *,
    denoise: bool = False,
    **options: Any,
) -> list[Path]:
    """Render the field from each camera into a file.

    The files are ``frame_0000.png``, ``frame_0001.png`` and so on. Another picture, ``strip.png``, shows some of them
    side by side.

    Parameters
    ----------
    live : RadiosityObjective
        The open scene.
    x : array_like, shape (n,)
        Weights.
    cameras : iterable of dict
        Descriptions of cameras, such as those of `path_between`.
    out : str or Path
        Folder.
    denoise : bool, default False
        Whether each frame is denoised; see `PicturedField.denoise`.
    **options
        Arguments of `PicturedField.render`, such as ``side`` and ``spp``.

    Returns
    -------
    list of Path
        The frames, numbered for a video encoder, and ``strip.png``.
    """
    import matplotlib.image

    from invopt.rendering.pictures.display import to_display

    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    written, shown = [], []
    for number, view in enumerate(cameras):
        frame = live.render(x, view, **options)
        picture: NDArray[np.float64] = to_display(live.denoise(frame, view) if denoise else frame)
        path = out / f"frame_{number:04d}.png"
        matplotlib.image.imsave(path, picture)
        written.append(path)
        shown.append(picture)
    chosen = np.unique(np.linspace(0, len(shown) - 1, _STRIP_FRAMES).round().astype(int))
    strip = out / "strip.png"
    matplotlib.image.imsave(strip, np.concatenate([shown[i] for i in chosen], axis=1))
    return [*written, strip]
