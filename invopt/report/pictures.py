"""Pictures of a run: start, found, target, difference; and how it converged."""

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


def write_pictures(objective: Objective, result: OptimizeResult, start: NDArray[np.float64], out: Path) -> list[Path]:
    """Write start, found, target and difference as PNG files, and all four in one; none where there are no pictures.

    The difference is the absolute one of found and target, scaled so that its largest value is white.
    """
    first, found, target = objective.image(start), objective.image(result.x), objective.reference
    if first is None or found is None or target is None:
        return []
    difference = np.abs(np.asarray(found, dtype=np.float64) - target)
    difference = difference / max(float(difference.max()), 1e-12)
    pictures = {"start": first, "found": found, "target": target, "difference": difference}
    written = []
    for name, picture in pictures.items():
        path = out / f"{name}.png"
        matplotlib.image.imsave(path, to_display(picture))
        written.append(path)
    # Pictures that are several side by side go below each other.
    wide = target.shape[1] > 2 * target.shape[0]
    rows, columns = (len(pictures), 1) if wide else (1, len(pictures))
    size = (9, 1.8 * rows) if wide else (3 * columns, 3)
    figure = Figure(figsize=size, layout="constrained")
    for ax, (name, picture) in zip(figure.subplots(rows, columns), pictures.items(), strict=True):
        ax.imshow(to_display(picture))
        ax.set_title(name)
        ax.axis("off")
    figure.savefig(out / "pictures.png", dpi=100)
    return [*written, out / "pictures.png"]


def write_convergence(result: OptimizeResult, out: Path) -> Path:
    """Plot value, and parameter error where the truth is known, against evaluations."""
    known = result.problem.x_opt is not None and result.history["x"].ndim == 2 and len(result.history) > 0
    figure = Figure(figsize=(5 * (1 + known), 3.5), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, 1 + known))
    result.history.plot(axes[0])
    if known:
        errors = [result.problem.parameter_error(x) for x in result.history["x"]]
        axes[1].semilogy(result.history["nfev"], np.maximum(errors, 1e-16), marker=".")
        axes[1].set(xlabel="evaluations", ylabel="parameter error")
    path = out / "convergence.png"
    figure.savefig(path, dpi=100)
    return path
