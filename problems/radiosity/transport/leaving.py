"""Light that leaves surfaces, by a field or by its right side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..fields.query import Incident, Query
from .guiding import Lobes

__all__ = ["Reflected", "leaving", "right_side"]

# A field at given weights: reflected radiance (k, 3) for k queries.
Reflected = Callable[[Query], Tensor]


def right_side(reflected: Reflected, incident: Incident, count: int) -> Tensor:
    """Reflected radiance of points by each direction, shape (count, m, 3)."""
    terms = incident.weight.t() * reflected(incident.query) + (incident.known + incident.direct).t()
    return terms.view(count, -1, 3)


def leaving(
    transport: Any,
    reflected: Reflected,
    point: Any,
    m: int,
    seed: int,
    lobes: Callable[[Query], Lobes | None] | None = None,
) -> Tensor:
    """Radiance that leaves interactions towards the viewer, shape (k, 3).

    Parameters
    ----------
    transport : Transport
        Sampling of light in the scene.
    reflected : callable
        The field.
    point : SurfaceInteraction3f
        k interactions.
    m : int
        Incident directions of the right side; 0 for the field itself.
    seed : int
        Seed of the directions.
    lobes : callable, optional
        Mixtures of a guide.
    """
    query, emitted, asked = transport.query(point)
    if m:
        incident = transport.incident(point, m, seed, None if lobes is None else lobes(query))
        radiance = right_side(reflected, incident, len(asked)).mean(1)
    else:
        radiance = reflected(query)
    found: Tensor = torch.where(asked.unsqueeze(1), radiance, 0.0) + emitted.t()
    return found
