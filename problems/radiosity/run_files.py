"""What a run leaves in its folder beside the report."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.image
import numpy as np
from numpy.typing import NDArray

from invopt.rendering.pictures.display import to_display

from .fields.saved import RadianceField
from .open_scene import OpenScene
from .pictures.metrics import compare

__all__ = ["write_run_files"]


def write_run_files(live: OpenScene, x: NDArray[np.float64], out: Path) -> list[Path]:
    """Write the right side at the weights `x`, the errors of both sides, and the field itself."""
    emitting = live.emitting_pixels(size=live.preview)
    sides = {"lhs": live.image(x), "rhs": live.render(x, side="rhs", spp=4, size=live.preview)}
    errors = {side: compare(picture, live.reference, emitting).to_dict() for side, picture in sides.items()}
    picture, record, kept = out / "right_side.png", out / "errors.json", out / "field.safetensors"
    matplotlib.image.imsave(picture, to_display(sides["rhs"]))
    record.write_text(json.dumps(errors, indent=1) + "\n")
    RadianceField.of(live, x).save(kept)
    return [picture, record, kept]
