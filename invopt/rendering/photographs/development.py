"""Development: from a photograph to the target of a film."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from attrs import frozen
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from invopt.exceptions import SceneError
from invopt.rendering.photographs.averaging import Averaging, Kernel
from invopt.rendering.photographs.curve import Curve
from invopt.rendering.photographs.exposure import Exposure, Factors
from invopt.rendering.photographs.photograph import Photograph
from invopt.rendering.photographs.response import SRGB, UNKNOWN, Linear, Response
from invopt.rendering.photographs.target import Target
from invopt.rendering.pictures.stored import LUMINANCE, Stored, read_stored

__all__ = ["Film", "develop"]

Array = NDArray[np.float64]

# Share of the largest integer from which on a pixel is taken as saturated: compression by JPEG changes 255 by some
# levels.
_SATURATED = 0.98
# Share of a film's pixel that may be invalid: a lamp a hundred times as bright as white then adds a tenth.
_LEAST_INVALID = 1e-3
# Share by which the shapes of photograph and film may differ: two pixels in two hundred.
_SHAPE_TOLERANCE = 0.01
# Neighbours of a pixel, which are left out with it.
_NEIGHBOURS = np.ones((3, 3), dtype=bool)


@frozen(eq=False)
class Film:
    """What has to be known of a camera's film.

    Attributes
    ----------
    size : (int, int)
        Height and width of its pictures.
    channels : int
        1 or 3.
    kernel : callable
        Its filter.
    radius : float
        Radius of the filter in pixels.
    """

    size: tuple[int, int]
    channels: int
    kernel: Kernel
    radius: float


def develop(photograph: Photograph, film: Film) -> Target:
    """Return the target of a photograph for a film.

    Needs an active backend if the photograph is a file.
    """
    source = photograph.source
    stored = read_stored(source, photograph.layer) if isinstance(source, Path) else source
    mask = read_stored(photograph.mask).pixels.mean(axis=2) if isinstance(photograph.mask, Path) else photograph.mask
    photograph.check_sizes(stored.shape, mask)
    weights = np.asarray(photograph.weights(stored, mask), dtype=np.float64)
    level = _level(photograph, stored)
    saturated = np.zeros(stored.shape[:2], dtype=bool) if level is None else (stored.pixels >= level).any(axis=2)
    invalid = binary_dilation(saturated | (weights == 0), _NEIGHBOURS)
    response = _response(photograph, stored)
    light = response.decoded(np.asarray(stored.pixels, dtype=np.float64))
    part = _cropped(photograph, stored.shape)
    light, weights, invalid = light[part], weights[part], invalid[part]
    _check_shape(photograph, light.shape[:2], film.size)
    average = Averaging(light.shape[:2], film.size, film.kernel, film.radius)
    valid = 1.0 - invalid[:, :, None].astype(np.float64)
    if light.shape[2] == 3 and film.channels == 1:
        light = (light @ np.array(LUMINANCE))[:, :, None]
    compared = average(valid) >= 1.0 - _LEAST_INVALID
    if not compared.any():
        raise SceneError(
            f"nothing of {photograph!r} can be compared: {100 * saturated.mean():.3g} % of it is saturated, and "
            f"{100 * (weights == 0).mean():.3g} % of the part that the film shows is masked"
        )
    picture = np.where(compared, average(light * valid), 0.0)
    variances = _variances(photograph, light, part)
    scales = _scales(variances, average, average(weights[:, :, None] * valid)) * compared
    # The fitted curve saturates by itself.
    ceiling = None if level is None or photograph.response == UNKNOWN else float(response.decoded(np.array(level)))
    return Target(
        picture=picture.astype(np.float32),
        scales=None if (scales == 1.0).all() else scales.astype(np.float32),
        exposure=_exposure(photograph, picture.shape[2], ceiling),
        weight=photograph.weight,
        # Of the numbers of an unknown response nothing is known.
        variance=None if variances is None or photograph.response == UNKNOWN else average.variance(variances),
    )


def _level(photograph: Photograph, stored: Stored) -> float | None:
    """Number from which on a pixel is saturated."""
    if photograph.saturation == "auto":
        return _SATURATED if stored.is_integer else None
    return None if photograph.saturation is None else float(photograph.saturation)


def _response(photograph: Photograph, stored: Stored) -> Response:
    """Curve that is inverted; none if it is unknown."""
    if isinstance(photograph.response, Response):
        return photograph.response
    return SRGB() if photograph.response == "auto" and stored.is_integer else Linear()


def _cropped(photograph: Photograph, shape: tuple[int, ...]) -> tuple[slice, slice]:
    left, top, width, height = photograph.crop or (0, 0, shape[1], shape[0])
    return slice(top, top + height), slice(left, left + width)


def _check_shape(photograph: Photograph, own: tuple[int, int], film: tuple[int, int]) -> None:
    sizes = f"{own[1]} x {own[0]} pixels, but the camera takes {film[1]} x {film[0]}"
    if photograph.resize is None and own != film:
        raise SceneError(f"the photograph has {sizes}: leave 'resize' at 'film' to average it down")
    if own[0] < film[0] or own[1] < film[1]:
        raise SceneError(f"the photograph has {sizes}: give the film at most the photograph's size")
    if photograph.resize == "film" and abs(own[1] * film[0] / (own[0] * film[1]) - 1) > _SHAPE_TOLERANCE:
        raise SceneError(
            f"the photograph has {sizes}, which is another shape: give 'crop', the part that the camera takes, or "
            f"resize='stretch'"
        )


def _variances(photograph: Photograph, light: Array, part: tuple[slice, slice]) -> Array | None:
    """Variance of the noise of each pixel of the photograph, shape (height, width, 1)."""
    noise = photograph.noise
    if noise is None:
        return None
    if isinstance(noise, np.ndarray):
        return np.square(noise[part], dtype=np.float64)[:, :, None]
    found: Array = noise[0] ** 2 + noise[1] * np.maximum(light, 0.0).mean(axis=2, keepdims=True)
    return found


def _scales(variances: Array | None, average: Averaging, weights: Array) -> Array:
    """Factors of the differences, at most 1, from weights and noise."""
    scales = np.sqrt(np.clip(weights, 0.0, 1.0))
    if variances is None:
        return scales
    variance = average(variances)
    found: Array = scales * np.sqrt(variance.min() / variance)
    return found


def _exposure(photograph: Photograph, channels: int, ceiling: float | None) -> Exposure:
    """What is done to a render."""
    balance = photograph.white_balance
    if channels == 1 and balance is not None:
        raise SceneError(f"'white_balance' must be left out if luminance is compared: {balance!r}")
    known = np.ones(channels) if balance in (None, UNKNOWN) else np.array(balance)
    if photograph.response == UNKNOWN:
        factors = known * float(photograph.exposure)
        return Curve(factors=tuple(factors.tolist()), separate=balance == UNKNOWN)
    unknown: dict[str, tuple[int, ...]] = {}
    if photograph.exposure == UNKNOWN:
        unknown["exposure"] = tuple(range(channels))
    else:
        known = known * float(photograph.exposure)
    if balance == UNKNOWN:
        unknown |= {"white_balance.r": (0,), "white_balance.b": (2,)}
    return Factors(tuple(known.tolist()), unknown, ceiling)
