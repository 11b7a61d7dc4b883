"""Pictures of saved fields through Mitsuba. Import where Mitsuba may be imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mitsuba
import numpy as np
from numpy.typing import NDArray

from invopt.exceptions import BackendError, InvoptError
from invopt.plugin import one_at_a_time, require
from invopt.rendering.backend import Backend, activate
from invopt.rendering.reading import loading
from invopt.rendering.reading.loading import Blueprint

from ..arguments import as_scene, description_of
from ..transport.cameras import camera_of

__all__ = ["rendered"]

# Untyped, because its types depend on the variant.
mi: Any = mitsuba


@one_at_a_time()
def rendered(
    field: Any, scene: Any, sensor: Any, spp: int, seed: int, properties: Mapping[str, Any]
) -> NDArray[np.float32]:
    """Render a field in a scene; see `RadianceField.render`."""
    require("spp", spp >= 1, ">= 1", spp)
    require("seed", seed >= 0, ">= 0", seed)
    loaded = scene if _is_loaded(scene) else _loaded(scene)
    from .integrator import NAME, integrator_class

    props = mi.Properties(NAME)
    for name, value in properties.items():
        props[name] = value
    integrator = integrator_class(mi.variant())(props, field)
    camera = sensor if isinstance(sensor, mi.Sensor) else camera_of(loaded, sensor)
    try:
        picture = mi.render(loaded, sensor=camera, integrator=integrator, spp=spp, seed=seed)
    except RuntimeError as error:
        # Dr.Jit wraps what an integrator raises.
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, InvoptError):
            cause = cause.__cause__ or cause.__context__
        raise cause or error from None
    found: NDArray[np.float32] = np.array(picture, dtype=np.float32)
    return found


def _is_loaded(scene: Any) -> bool:
    return mi.variant() is not None and isinstance(scene, mi.Scene)


def _loaded(scene: Any) -> Any:
    """Load a scene as a training does."""
    description = description_of(as_scene(scene))
    if activate(None) is Backend.SCALAR:
        raise BackendError("radiance fields need a compiled backend, 'cuda' or 'llvm'; run: invopt doctor")
    return loading.load(Blueprint(description=description, variables={}))[0]
