"""Differentiable counterparts of integrators."""

from __future__ import annotations

from typing import Any

from invopt.core.formatting import shown
from invopt.exceptions import SceneError
from invopt.rendering.values import renderer

__all__ = ["AUTOMATIC", "differentiable", "samples_edges"]

# Name that stands for the scene's own integrator, or its counterpart.
AUTOMATIC = "auto"
# Differentiable counterpart of each integrator of Mitsuba's that has no derivative.
_COUNTERPARTS = {"path": "prb", "direct": "prb", "volpath": "prbvolpath", "volpathmis": "prbvolpath"}
# Depth of direct light: emitted light and one reflection.
_DIRECT = 2
# Parameters that an integrator and its counterpart share.
_SHARED = ("max_depth", "rr_depth", "hide_emitters")


def differentiable(props: Any, name: str) -> Any:
    """Return the properties of an integrator that has a derivative.

    Parameters
    ----------
    props : mitsuba.Properties
        Those of the scene's integrator.
    name : str
        The integrator to use, or "auto": the scene's own if it has a derivative, else its counterpart.

    Returns
    -------
    mitsuba.Properties
        Without guiding, unless the scene asks for it: guiding takes seconds a picture, which more samples use better.
    """
    plugin = props.plugin_name()
    if name == AUTOMATIC:
        name = plugin if _has_derivative(plugin) else _COUNTERPARTS.get(plugin, "")
    if not name:
        raise SceneError(
            f"Mitsuba has no derivative of the integrator {shown(plugin)}: use one that has, such as 'prb', or "
            f"name one in Autodiff(integrator=...)"
        )
    if name != plugin:
        props = _replaced(props, name)
    made = _made(name)
    if hasattr(made, "guiding") and "guiding" not in props:
        props["guiding"] = "none"
    return props


def samples_edges(integrator: Any) -> bool:
    """Whether an integrator's derivative has moving edges and shadows."""
    return hasattr(integrator, "sppi")


def _replaced(props: Any, name: str) -> Any:
    depth = _DIRECT if props.plugin_name() == "direct" else props.get("max_depth", -1)
    if name == "direct_projective" and depth != _DIRECT:
        raise SceneError(
            f"'direct_projective' renders direct light only, and the scene has paths of max_depth "
            f"{'inf' if depth < 0 else depth}: use 'prb_projective', or give the scene's integrator max_depth 2"
        )
    found = renderer().Properties(name)
    found.set_id(props.id())
    for key in _SHARED:
        if key in props:
            found[key] = props[key]
    if props.plugin_name() == "direct":
        found["max_depth"] = _DIRECT
    return found


def _has_derivative(plugin: str) -> bool:
    from mitsuba.python.ad.integrators.common import ADIntegrator

    return isinstance(_made(plugin), ADIntegrator)


def _made(plugin: str) -> Any:
    """An integrator of this kind; None if it needs more than its name."""
    mi = renderer()

    try:
        return mi.load_dict({"type": plugin}, optimize=False)
    except (RuntimeError, ValueError, KeyError):
        return None
