"""Images of a run: start, found, target, difference; plot of its convergence."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from invopt.core.objective import Objective
from invopt.core.result import OptimizeResult
from invopt.rendering.pictures.display import to_display

__all__ = ["write_convergence", "write_pictures"]

# Smallest divisor of the difference, and smallest error on a logarithmic axis: values below are rounding of float64
# images and parameters of size 1, and must not be 0.
_SMALLEST_DIFFERENCE, _SMALLEST_ERROR = 1e-12, 1e-16
# Targets wider than this, in heights, are several images side by side, which are then shown below each other.
_WIDE = 2
# Sizes of figures: inches of an image's side, width and height of a row of wide images, dots per inch.
_IMAGE_INCHES, _ROW_INCHES, _DOTS_PER_INCH = 3, (9, 1.8), 100


def write_pictures(objective: Objective, result: OptimizeResult, start: NDArray[np.float64], out: Path) -> list[Path]:
    """Write start, found, target and difference as PNG files, and all four in one.

    None if there are no images.

    The difference is the absolute difference between found and target, scaled so that its largest value is white.
    """
    first, found, target = objective.image(start), objective.image(result.x), objective.reference
    if first is None or found is None or target is None:
        return []
    difference = np.abs(np.asarray(found, dtype=np.float64) - target)
    difference = difference / max(float(difference.max()), _SMALLEST_DIFFERENCE)
    pictures = {"start": first, "found": found, "target": target, "difference": difference}
    written = []
    for name, picture in pictures.items():
        path = out / f"{name}.png"
        matplotlib.image.imsave(path, to_display(picture))
        written.append(path)
    wide = target.shape[1] > _WIDE * target.shape[0]
    rows, columns = (len(pictures), 1) if wide else (1, len(pictures))
    size = (_ROW_INCHES[0], _ROW_INCHES[1] * rows) if wide else (_IMAGE_INCHES * columns, _IMAGE_INCHES)
    figure = Figure(figsize=size, layout="constrained")
    for ax, (name, picture) in zip(figure.subplots(rows, columns), pictures.items(), strict=True):
        ax.imshow(to_display(picture))
        ax.set_title(name)
        ax.axis("off")
    figure.savefig(out / "pictures.png", dpi=_DOTS_PER_INCH)
    return [*written, out / "pictures.png"]


def write_convergence(result: OptimizeResult, out: Path) -> Path:
    """Plot value, and parameter error if the truth is known, against evaluations."""
    known = result.problem.x_opt is not None and result.history["x"].ndim == 2 and len(result.history) > 0
    figure = Figure(figsize=(5 * (1 + known), 3.5), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, 1 + known))
    result.history.plot(axes[0])
    if known:
        errors = [result.problem.parameter_error(x) for x in result.history["x"]]
        axes[1].semilogy(result.history["nfev"], np.maximum(errors, _SMALLEST_ERROR), marker=".")
        axes[1].set(xlabel="evaluations", ylabel="parameter error")
    path = out / "convergence.png"
    figure.savefig(path, dpi=_DOTS_PER_INCH)
    return path
