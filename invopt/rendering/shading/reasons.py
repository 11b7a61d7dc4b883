"""Why what a binding sets cannot be recorded."""

from __future__ import annotations

from typing import Any

import torch

from invopt.exceptions import SceneError
from invopt.rendering.bindings.binding import Binding, Own, ValueBinding

__all__ = ["why_not_recorded"]


def why_not_recorded(binding: Binding, live: Any, own: Own) -> str:
    """Return why pictures have no Jacobian by the columns of a binding.

    Parameters
    ----------
    binding : Binding
        The binding.
    live : LiveScene
        The scene.
    own : callable
        As for `Binding.initial`.

    Returns
    -------
    str
        Empty if they are.
    """
    if not isinstance(binding, ValueBinding) or not binding.shades:
        return f"{binding.label!r} does not only shade"
    try:
        for key in binding.all_values(torch.from_numpy(binding.initial(own)), own):
            name = live.resolve(key)
            live.recorder.slot(name, live.parameter(name).padding)
    except SceneError as error:
        return str(error)
    return ""
