"""Denoising of pictures. Import with a backend active."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import mitsuba
import numpy as np
from numpy.typing import NDArray

from invopt.exceptions import InvoptError
from invopt.rendering.backend import Backend

from ..seeds import seed_of
from ..transport.cameras import camera_of

__all__ = ["can_denoise", "denoised", "features"]

# Untyped, because its types depend on the variant.
mi: Any = mitsuba

# Rays through each pixel for reflectances and normals, and their seed. They take 3 ms at 64 x 64, one thread.
_SPP, _SEED = 8, 0

Picture = NDArray[np.float32]


def can_denoise(backend: Backend) -> bool:
    """Return whether there is a denoiser: OptiX on a GPU, or else pyoidn."""
    return backend is Backend.CUDA or find_spec("pyoidn") is not None


def features(transport: Any, sensor: Any, size: tuple[int, int]) -> tuple[Picture, Picture]:
    """Diffuse reflectance and shading normal of each pixel, (height, width, 3) each.

    They are those of Mitsuba's integrator "aov", with two differences: they are of the first surface behind specular
    ones, which the camera sees through glass and in mirrors; and the reflectance is that from one direction, because
    Mitsuba's divides by the cosine of the view's angle for some materials, and is then above 1.
    """
    pixels = size[0] * size[1]
    point, _, _ = transport.camera(sensor, 0, pixels, _SPP, seed_of(_SEED, 3), size)
    query, _, _ = transport.query(point)

    def mean(rows: Any) -> Picture:
        found: Picture = rows.view(3, pixels, _SPP).mean(2).t().reshape(size[1], size[0], 3).cpu().numpy()
        return np.ascontiguousarray(found, dtype=np.float32)

    return mean(query.albedo).clip(0, 1), mean(query.normal)


def denoised(picture: Picture, transport: Any, sensor: Any, backend: Backend) -> Picture:
    """Denoise a picture of shape (height, width, 3) that a camera sees."""
    if not can_denoise(backend):
        raise InvoptError("denoising on a CPU needs the package 'pyoidn': pip install 'invopt[denoise]'")
    height, width, _ = picture.shape
    albedo, normal = features(transport, sensor, (width, height))
    if backend is Backend.CUDA:
        return _by_optix(picture, albedo, normal, camera_of(transport.scene, sensor))
    found = import_module("pyoidn").denoise(picture, albedo=albedo, normal=normal, hdr=True)
    return np.asarray(found, dtype=np.float32)


def _by_optix(picture: Picture, albedo: Picture, normal: Picture, camera: Any) -> Picture:
    height, width, _ = picture.shape
    denoiser = mi.OptixDenoiser(mi.ScalarVector2u(width, height), albedo=True, normals=True)
    # OptiX takes normals in the coordinates of the camera.
    to_sensor = camera.world_transform().inverse()
    found = denoiser(mi.TensorXf(picture), mi.TensorXf(albedo), mi.TensorXf(normal), to_sensor)
    return np.array(found, dtype=np.float32)
