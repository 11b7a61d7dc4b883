"""Photograph: a picture taken by a camera, as the target of a scene."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from attrs import field, fields, frozen
from attrs.validators import instance_of, optional
from numpy.typing import NDArray

from invopt.core.formatting import shown
from invopt.core.validators import as_integer, as_real, one_of, plain, real, require
from invopt.exceptions import SceneError
from invopt.rendering.photographs.response import UNKNOWN, Response, as_response
from invopt.rendering.pictures.stored import Stored, as_stored
from invopt.rendering.pictures.targets import as_picture_path

__all__ = ["Photograph"]

# Channels of a colour picture.
_COLORS = 3


def _as_source(value: Any) -> Path | Stored:
    if isinstance(value, str | Path):
        return as_picture_path(value, "source")
    return as_stored(value, "source")


def _as_mask(value: Any) -> Path | NDArray[np.float32] | None:
    if value is None:
        return None
    if isinstance(value, str | Path):
        return as_picture_path(value, "mask")
    mask = np.asarray(plain(value))
    fits = mask.ndim == 2 and mask.dtype.kind in "biuf" and mask.size > 0
    if not fits:
        raise SceneError(
            f"'mask' must be a file or an array of shape (height, width), True where the photograph is compared: shape "
            f"{mask.shape}, dtype {mask.dtype}"
        )
    weights = mask.astype(np.float32)
    if mask.dtype.kind in "iu" and weights.max() > 1:
        weights /= np.float32(np.iinfo(mask.dtype).max)
    require("mask", bool(((weights >= 0) & (weights <= 1)).all()), "True, False or weights in [0, 1]", mask)
    require("mask", bool((weights > 0).any()), "> 0 somewhere", mask)
    return weights


def _as_saturation(value: Any) -> float | str | None:
    if value is None or value == "auto":
        return None if value is None else "auto"
    if isinstance(value, str):
        raise ValueError(f"'saturation' must be a number, 'auto' or None: {shown(value)}")
    level = as_real("saturation", value)
    require("saturation", 0 < level < math.inf, "> 0, in the numbers of the photograph", value)
    return level


def _as_exposure(value: Any) -> float | str:
    if isinstance(value, str):
        require("exposure", value == UNKNOWN, "a number > 0 or 'unknown'", value)
        return UNKNOWN
    factor = as_real("exposure", value)
    require("exposure", 0 < factor < math.inf, "a number > 0 or 'unknown'", value)
    return factor


def _as_white_balance(value: Any) -> tuple[float, ...] | str | None:
    if value is None:
        return None
    rule = "three numbers > 0, 'unknown' or None"
    if isinstance(value, str):
        require("white_balance", value == UNKNOWN, rule, value)
        return UNKNOWN
    if np.shape(value) != (_COLORS,):
        raise ValueError(f"'white_balance' must be {rule}: {shown(value)}")
    found = tuple(as_real("white_balance", item) for item in np.asarray(value).tolist())
    require("white_balance", all(0 < item < math.inf for item in found), rule, value)
    return found


def _as_crop(value: Any) -> tuple[int, int, int, int] | None:
    if value is None:
        return None
    rule = "(left, top, width, height) in pixels of the photograph"
    if np.shape(value) != (4,):
        raise ValueError(f"'crop' must be {rule}: {shown(value)}")
    left, top, width, height = (as_integer("crop", item) for item in np.asarray(value).tolist())
    require("crop", min(left, top) >= 0 and min(width, height) >= 1, rule, value)
    return left, top, width, height


def _as_noise(value: Any) -> tuple[float, float] | NDArray[np.float32] | None:
    if value is None:
        return None
    rule = "(read, shot), or an array of standard deviations of shape (height, width)"
    if np.shape(value) == (2,):
        read, shot = (as_real("noise", item) for item in np.asarray(value).tolist())
        require("noise", 0 < read < math.inf and 0 <= shot < math.inf, f"{rule}; read > 0 and shot >= 0", value)
        return read, shot
    noise = np.asarray(plain(value))
    if noise.ndim != 2 or noise.dtype.kind not in "iuf":
        raise ValueError(f"'noise' must be {rule}: shape {noise.shape}, dtype {noise.dtype}")
    require("noise", bool((np.isfinite(noise) & (noise > 0)).all()), "> 0 and finite", noise)
    return noise.astype(np.float32)


@frozen(eq=False, repr=False)
class Photograph:
    """A picture taken by a camera, as the target of `invopt.problems.Scene`.

    A photograph differs from a render: its brightest parts are saturated, its exposure and white balance may be
    unknown, it is finer than the film, and it shows things that the scene does not have. What is said here is done to
    every render before it is compared, and belongs to the residuals and their derivatives.

    Parameters
    ----------
    source : str, Path or array_like
        A file (PNG, JPEG, TIFF, BMP, TGA; EXR, HDR, PFM), or an array of shape (height, width), (height, width, 3) or,
        with alpha, (height, width, 4). Integers of 8 or 16 bits are divided by their largest value.
    mask : str, Path or array_like of shape (height, width), optional
        What is compared: True, or a weight in [0, 1]; of a file, its brightness. By default everything.
    saturation : {"auto"}, float or None, default "auto"
        Number of the photograph from which on a pixel is saturated and is not compared. "auto" is 0.98 of the largest
        value of integers, and no limit of floats. None compares all pixels.
    exposure : float or "unknown", default 1
        Factor of a render's light.
    white_balance : sequence of 3 floats, "unknown" or None, default None
        Factors of red, green and blue.
    response : {"auto", "srgb", "linear", "unknown"}, float, array_like or callable, default "auto"
        From light to the numbers of the photograph: a name, a gamma, a table of numbers for light from 0 to 1, a table
        of light and number of shape (k, 2), or a function of an array of light. "auto" is sRGB for integers, linear for
        floats. "unknown" is fitted, and contains the exposure.
    crop : (left, top, width, height), optional
        Part of the photograph that the film shows, in pixels. By default all of it.
    resize : {"film", "stretch"} or None, default "film"
        "film" averages down to the size of the film; the shapes must be similar. "stretch" does so in any case. None
        requires the film's size.
    alpha : {"mask", "ignore"}, default "mask"
        Whether pixels that are not opaque are left out.
    layer : str, optional
        Layer of an EXR file, such as "ViewLayer.Combined" for channels named "ViewLayer.Combined.R". By default the
        channels without a layer.
    weight : float, default 1
        Weight beside the photographs of other cameras.
    noise : (read, shot) or array_like of shape (height, width), optional
        Standard deviation of the noise of a linear pixel, by which differences are divided: the root of
        ``read**2 + shot * light``, or one for each pixel. Error bars contain it. By default equal everywhere, and
        error bars contain the noise of renders only.

    Raises
    ------
    TypeError, ValueError
        If a value is of the wrong kind or out of range. `SceneError` if the photograph, the mask and the film do not
        fit, when the scene is opened.

    Notes
    -----
    Saturated and masked pixels are found in the photograph itself, and their neighbours are left out too. A pixel of
    the film is compared if all of the photograph that its filter covers is valid. Where the photograph is at least
    twice as fine as the film, the film's own filter averages it down, else the average over the pixel's area.

    A known response is inverted, so that the average and the comparison are of light. What would be saturated in the
    photograph counts by the logarithm of its light, so that a start that is far too bright still has a slope. With an
    unknown response, the numbers of the photograph are compared, and the loss must be "mse".

    An unknown exposure or white balance is solved by least squares in every evaluation, and costs no evaluations. Its
    value is in ``res.parameters``.
    """

    source: Path | Stored = field(converter=_as_source)
    mask: Path | NDArray[np.float32] | None = field(default=None, converter=_as_mask, kw_only=True)
    saturation: float | str | None = field(default="auto", converter=_as_saturation, kw_only=True)
    exposure: float | str = field(default=1, converter=_as_exposure, kw_only=True)
    white_balance: tuple[float, ...] | str | None = field(default=None, converter=_as_white_balance, kw_only=True)
    response: Response | str = field(default="auto", converter=as_response, kw_only=True)
    crop: tuple[int, int, int, int] | None = field(default=None, converter=_as_crop, kw_only=True)
    resize: str | None = field(default="film", kw_only=True)
    alpha: str = field(default="mask", validator=one_of("mask", "ignore"), kw_only=True)
    layer: str | None = field(default=None, validator=optional(instance_of(str)), kw_only=True)
    weight: float = field(default=1, validator=real(above=0), kw_only=True)
    noise: tuple[float, float] | NDArray[np.float32] | None = field(default=None, converter=_as_noise, kw_only=True)

    def __attrs_post_init__(self) -> None:
        require("resize", self.resize in ("film", "stretch", None), "'film', 'stretch' or None", self.resize)
        if self.response == UNKNOWN and self.exposure == UNKNOWN:
            raise ValueError("'exposure' must be left out if 'response' is 'unknown', which contains it")
        is_exr = isinstance(self.source, Path) and self.source.suffix.lower() == ".exr"
        require("layer", self.layer is None or is_exr, "left out unless the source is an EXR file", self.layer)
        if isinstance(self.source, Stored):
            self.check_sizes(self.source.shape)
            if not isinstance(self.mask, Path):
                self.weights(self.source, self.mask)

    def __repr__(self) -> str:
        source = repr(str(self.source)) if isinstance(self.source, Path) else f"array of shape {self.source.shape}"
        given = [source]
        for item in fields(Photograph)[1:]:
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray):
                given.append(f"{item.name}=array of shape {value.shape}")
            elif value is not item.default and value != item.default:
                given.append(f"{item.name}={value!r}")
        return f"Photograph({', '.join(given)})"

    @property
    def has_unknowns(self) -> bool:
        """Whether its exposure, white balance or response is fitted."""
        return UNKNOWN in (self.exposure, self.white_balance, self.response)

    def weights(self, stored: Stored, mask: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """Weight of each pixel: that of the mask, 0 where it is not opaque.

        Raise if a pixel of weight > 0 is not finite.
        """
        weights = np.ones(stored.shape[:2], np.float32) if mask is None else mask
        if self.alpha == "mask" and stored.opaque is not None:
            weights = weights * stored.opaque
        if stored.unmasked is not None:
            weights = weights * stored.unmasked
        bad = int(((weights > 0) & ~stored.finite).sum())
        if bad:
            raise SceneError(f"the photograph must be finite: {bad} of {weights.size} pixels are not; mask them")
        return weights

    def check_sizes(self, size: tuple[int, ...], mask: NDArray[np.float32] | None = None) -> None:
        """Raise if mask, noise or crop do not fit a photograph of this height and width."""
        for name, value in (("mask", mask), ("mask", self.mask), ("noise", self.noise)):
            if isinstance(value, np.ndarray) and value.shape != tuple(size[:2]):
                raise SceneError(
                    f"'{name}' has {value.shape[1]} x {value.shape[0]} pixels, but the photograph {size[1]} x {size[0]}"
                )
        if self.crop is not None:
            left, top, width, height = self.crop
            if left + width > size[1] or top + height > size[0]:
                raise SceneError(
                    f"'crop' {self.crop} reaches beyond the {size[1]} x {size[0]} pixels of the photograph"
                )

    def content(self) -> dict[str, Any]:
        """Fields with the contents of files, for digests."""
        found = {item.name: getattr(self, item.name) for item in fields(Photograph)}
        return {name: value.read_bytes() if isinstance(value, Path) else value for name, value in found.items()}
