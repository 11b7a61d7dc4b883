"""Check that a binding can change a picture."""

from __future__ import annotations

from typing import Any

from invopt.exceptions import SceneError
from invopt.rendering.bindings.binding import Binding
from invopt.rendering.bindings.custom import Custom
from invopt.rendering.bindings.motion import Motion, Rotation, Scale, Translation
from invopt.rendering.bindings.pose import CameraPose, Pose
from invopt.rendering.values import renderer

__all__ = ["check_effect"]


def check_effect(binding: Binding, live: Any) -> None:
    """Raise if a binding cannot change the pictures of a live scene.

    Parameters
    ----------
    binding : Binding
        Binding to check.
    live : LiveScene
        The scene; its cameras are those that take pictures.
    """
    owner = binding.target if isinstance(binding, Motion) else binding.target.split(".")[0]
    if not isinstance(binding, Custom) and owner in live.idle_cameras():
        raise SceneError(f"{binding.label!r} changes no picture: the camera {owner!r} is not among 'sensors'")
    if isinstance(binding, Motion):
        _check_light(binding, live.emitter(binding.target))
        _check_camera(binding, live.camera(binding.target))


def _check_camera(binding: Motion, camera: Any) -> None:
    if isinstance(binding, CameraPose) and camera is None:
        raise SceneError(f"{binding.target!r} is not a camera: use Pose")
    if isinstance(binding, Scale) and camera is not None and camera.class_name() != "OrthographicCamera":
        raise SceneError(f"{binding.label!r} is impossible: the camera {binding.target!r} has no size; use FieldOfView")


def _check_light(binding: Motion, light: Any) -> None:
    if light is None:
        return
    flags = renderer().EmitterFlags
    kinds = light.flags()
    if kinds & int(flags.Infinite) and isinstance(binding, Translation | Scale | Pose):
        raise SceneError(
            f"{binding.label!r} changes no picture: the light {binding.target!r} is infinitely far away; use Rotation"
        )
    symmetric = isinstance(binding, Rotation | Pose) and light.class_name() == "PointLight"
    unchanged = isinstance(binding, Scale) or symmetric
    if kinds & int(flags.DeltaPosition) and unchanged and getattr(binding, "center", None) is None:
        raise SceneError(
            f"{binding.label!r} changes no picture: the light {binding.target!r} is a point; use Translation, or give "
            f"'center'"
        )
