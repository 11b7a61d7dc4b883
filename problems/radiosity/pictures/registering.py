"""Registration of the integrator of saved fields with Mitsuba."""

from __future__ import annotations

from invopt.plugin import one_at_a_time
from invopt.rendering.backend import activate

__all__ = ["register_integrator"]


@one_at_a_time()
def register_integrator() -> None:
    """Register Mitsuba's integrator "radiance_field", which draws a saved field.

    It is registered with the active variant of Mitsuba; if there is none, the fastest backend that works on this
    machine is activated. Trainings and `RadianceField.render` do so themselves.

    Raises
    ------
    BackendError
        If the variant has no compiled backend or no RGB colours.
    """
    import mitsuba

    if mitsuba.variant() is None:
        activate(None)
    # The module's types are those of the active variant.
    from .integrator import register

    register()
