"""Checks of a scene's targets beside its cameras, states and loss."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from invopt.plugin import Capability
from invopt.rendering import MSE, Loss, Photograph
from invopt.rendering.bindings import Binding

__all__ = ["check_losses", "check_priors", "content_of", "fits_exposure", "provided", "sensors_of", "why_not"]


def sensors_of(
    target: Sequence[Any] | None, sensors: tuple[int | str, ...], variants: Sequence[Any]
) -> tuple[int | str, ...]:
    """Return the camera of each picture.

    By default the first ones, or the first for all states.
    """
    if not sensors:
        count = len(target) if target is not None else max(len(variants), 1)
        sensors = (0,) * count if variants else tuple(range(count))
    if target is not None and len(target) != len(sensors):
        raise ValueError(f"'target' must be {len(sensors)} pictures, one for each of 'sensors': {len(target)}")
    if variants and len(variants) != len(sensors):
        raise ValueError(f"'variants' must be {len(sensors)} states, one for each picture: {len(variants)}")
    return sensors


def check_losses(targets: Sequence[Any], loss: Loss) -> None:
    """Refuse a photograph whose unknowns the loss cannot fit."""
    for target in targets:
        if not isinstance(target, Photograph):
            continue
        if target.has_unknowns and not loss.squared:
            raise ValueError(
                f"'loss' must be a mean of squares, such as 'huber', if the exposure of a photograph is fitted: "
                f"{loss!r}"
            )
        if target.response == "unknown" and not isinstance(loss, MSE):
            raise ValueError(f"'loss' must be 'mse' if the response of a photograph is unknown: {loss!r}")


def check_priors(bindings: Sequence[Binding], loss: Loss, noise_std: float | None) -> None:
    """Refuse priors that the pictures cannot be weighed against."""
    if noise_std is not None and not loss.squared:
        raise ValueError(f"'noise_std' must be left out for a loss that is no mean of squares: {loss!r}")
    for binding in bindings:
        if binding.has_prior and noise_std is None:
            raise ValueError(
                f"the prior of {binding.label!r} needs Scene(..., noise_std=...), the standard deviation of one "
                f"residual at the truth, which says how much the pictures count beside it; the loss must be a mean of "
                f"squares"
            )


def fits_exposure(targets: Sequence[Any]) -> bool:
    """Whether a photograph has unknowns that are fitted to each render."""
    return any(isinstance(target, Photograph) and target.has_unknowns for target in targets)


def provided(loss: Loss, count: int, targets: Sequence[Any], *, shading: bool) -> Capability:
    """Return what a scene with this number of pictures provides.

    `shading` says whether a binding shades, on a backend that can record it.
    """
    found = Capability.FUN
    if count == 1 and not any(isinstance(target, Photograph) for target in targets):
        found |= Capability.TARGET
    if loss.squared:
        found |= Capability.RESIDUALS
    fitted = any(isinstance(target, Photograph) and target.has_unknowns for target in targets)
    if shading and loss.pixelwise and not fitted:
        found |= Capability.SHADING
    return found | Capability.JAC if loss.differentiable else found


def why_not(missing: Capability, loss: Loss, targets: Sequence[Any]) -> str:
    """Why a scene does not provide something."""
    if Capability.JAC in missing:
        return f"{loss.name} has no derivative; use a loss that has, such as 'mse'"
    if Capability.SHADING in missing and fits_exposure(targets):
        return "the exposure of a photograph is unknown"
    if Capability.SHADING in missing and not loss.pixelwise:
        return f"{type(loss).__name__} compares more than single pixels"
    if Capability.RESIDUALS in missing:
        return f"{loss.name} is not a mean of squares"
    if Capability.TARGET in missing and any(isinstance(target, Photograph) for target in targets):
        return "a photograph cannot be replaced: give its linear picture as an array"
    return ""


def content_of(target: Any) -> Any:
    """Content of a target, for digests."""
    if isinstance(target, Photograph):
        return target.content()
    return target.read_bytes() if isinstance(target, Path) else target
