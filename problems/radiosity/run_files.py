"""Files that a run writes beside its report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .pictured_field import PicturedField
from .pictures.metrics import compare
from .pictures.radiance_field import RadianceField

__all__ = ["write_run_files"]

# Rays through each pixel of the right side, and directions of each (docs/radiosity.rst, "Against path tracing").
_RIGHT_SPP, _RIGHT_DIRECTIONS = 2, 4


def write_run_files(
    live: PicturedField,
    x: NDArray[np.float64],
    left: NDArray[np.float32] | None,
    truth: NDArray[np.float32] | None,
    out: Path,
) -> list[Path]:
    """Write pictures of the right side, the errors of both sides, and the field.

    The right side is denoised where there is a denoiser; ``sides.png`` shows field, right side and reference.

    Parameters
    ----------
    live : PicturedField
        The live field.
    x : ndarray, shape (n,)
        Weights.
    left, truth : ndarray, shape (height, width, 3), or None
        Previews of the field and of the reference; None without a camera, and then only the field is written.
    out : Path
        Folder.
    """
    field = out / "field.safetensors"
    RadianceField.of(live, x).save(field)
    if left is None or truth is None:
        return [field]
    import matplotlib.image

    from invopt.rendering.pictures.display import to_display

    emitting = live.emitting_pixels(size=live.preview)
    right = live.render(x, side="rhs", spp=_RIGHT_SPP, n_directions=_RIGHT_DIRECTIONS, size=live.preview)
    sides = {"lhs": left, "rhs": right}
    if live.can_denoise:
        sides["rhs_denoised"] = live.denoise(right)
    errors = {side: compare(picture, truth, emitting).to_dict() for side, picture in sides.items()}
    best = sides.get("rhs_denoised", right)
    right_side, beside, errors_file = out / "right_side.png", out / "sides.png", out / "errors.json"
    matplotlib.image.imsave(right_side, to_display(best))
    matplotlib.image.imsave(beside, np.concatenate([to_display(part) for part in (left, best, truth)], axis=1))
    errors_file.write_text(json.dumps(errors, indent=1) + "\n")
    return [right_side, beside, errors_file, field]
