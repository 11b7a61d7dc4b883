"""Autodiff with every integrator that Mitsuba differentiates."""

import numpy as np
import pytest
import torch

from invopt import problems
from invopt.core.objective import Adjoint
from invopt.exceptions import SceneError
from invopt.rendering import Backend, Color, choose
from invopt.rendering.descriptions import camera, diffuse

pytestmark = pytest.mark.render


@pytest.fixture(autouse=True)
def _derivatives():
    if choose().backend is Backend.SCALAR:
        pytest.skip("the scalar backend has no derivative")


def integrated(**integrator):
    """A wall before a sky of radiance 1, which is as bright as its colour."""
    description = {
        "type": "scene",
        "integrator": integrator,
        "sensor": camera(origin=[0, 3, 0], target=[0, 0, 0], fov=40, width=8, height=8),
        "wall": {
            "type": "rectangle",
            "to_world": np.diag([5.0, 5, 1, 1])[[0, 2, 1, 3]],
            "bsdf": diffuse(0.5, 0.5, 0.5),
        },
        "sky": {"type": "constant"},
    }
    return problems.Scene(description, parameters=Color("wall.bsdf.reflectance"), x_opt=[0.3] * 3, spp=4)


@pytest.mark.parametrize(
    ("own", "asked", "used", "guiding"),
    [
        ({"type": "path", "max_depth": 2}, "auto", "PRBIntegrator", None),
        ({"type": "volpath", "max_depth": 2}, "auto", "PRBVolpathIntegrator", None),
        ({"type": "path", "max_depth": 2}, "prbvolpath", "PRBVolpathIntegrator", None),
        ({"type": "prb_basic", "max_depth": 2}, "auto", "BasicPRBIntegrator", None),
        ({"type": "prb_basic", "max_depth": 2}, "prb", "PRBIntegrator", None),
        ({"type": "direct_projective"}, "auto", "DirectProjectiveIntegrator", "none"),
        ({"type": "direct_projective", "guiding": "grid"}, "auto", "DirectProjectiveIntegrator", "grid"),
        ({"type": "direct"}, "direct_projective", "DirectProjectiveIntegrator", "none"),
        ({"type": "path", "max_depth": 2}, "direct_projective", "DirectProjectiveIntegrator", "none"),
        ({"type": "prb_projective", "max_depth": 2}, "auto", "PathProjectiveIntegrator", "none"),
        ({"type": "path", "max_depth": 2}, "prb_projective", "PathProjectiveIntegrator", "none"),
    ],
    ids=str,
)
def test_every_integrator_with_a_derivative(own, asked, used, guiding):
    """All of them have the same derivative of a colour under direct light."""
    with integrated(**own).open() as live:
        x = torch.tensor([0.5, 0.4, 0.2], dtype=torch.float64)
        if guiding == "grid":
            # Guiding takes seconds; that it stays is enough.
            live._scene.require_derivative(asked)
        else:
            value, jac = live.value_and_jac(x, seed=1, spp=64, adjoint=Adjoint(asked))
            residual = x - 0.3
            assert value == pytest.approx(float((residual**2).mean()), rel=0.05)
            torch.testing.assert_close(jac, 2 * residual / 3, rtol=0.05, atol=1e-3)
        integrator = live._scene.live.integrator()
        assert type(integrator).__name__ == used
        assert getattr(integrator, "guiding", None) == guiding


def test_volumetric_primitives_keep_their_integrator():
    with integrated(type="volprim_rf_basic").open() as live:
        live._scene.require_derivative("auto")
        assert "Volumetric" in type(live._scene.live.integrator()).__name__


@pytest.mark.parametrize(
    ("own", "asked", "message"),
    [
        ({"type": "ptracer"}, "auto", "no derivative of the integrator 'ptracer': use one that has"),
        (
            {"type": "path"},
            "direct_projective",
            "direct light only, and the scene has paths of max_depth inf",
        ),
        (
            {"type": "path", "max_depth": 4},
            "direct_projective",
            "paths of max_depth 4: use 'prb_projective'",
        ),
    ],
    ids=str,
)
def test_integrators_that_are_refused(own, asked, message):
    with integrated(**own).open() as live, pytest.raises(SceneError, match=message):
        live.value_and_jac(torch.tensor([0.5] * 3, dtype=torch.float64), seed=1, adjoint=Adjoint(asked))
