"""Vertices, vertex colours and volume grids as unknowns."""

import numpy as np
import pytest
import torch

import invopt
from invopt import problems
from invopt.exceptions import SceneError
from invopt.rendering import Color, Displacements, Mesh, Numbers, activate

from .rooms import room

# A square of four vertices that faces the camera.
VERTICES = np.array([[-0.5, 0, 0.1], [0.5, 0, 0.1], [0.5, 0, 1.1], [-0.5, 0, 1.1]])
MESH = Mesh(vertices=VERTICES, faces=np.array([[0, 1, 2], [0, 2, 3]]), uv=np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]]))
WIDER = np.zeros((1, 4, 3))
WIDER[0, :, 0] = [-1, 1, 1, -1]


def square():
    return room() | {"square": {"type": "ply", "filename": MESH, "bsdf": room()["ball"]["bsdf"]}}


@pytest.mark.render
def test_a_shape_is_found():
    problem = problems.Scene(square, parameters=Displacements("square", basis=WIDER, bounds=(-0.4, 0.4)), x_opt=[0.2])
    assert problem.names == ("square.vertex_positions[0]",)
    assert problem.x0.tolist() == [0.0]
    res = invopt.minimize(problem, rng=0, maxfev=20)
    assert res.x[0] == pytest.approx(0.2, abs=0.02)


@pytest.mark.render
def test_displaced_vertices():
    binding = Displacements("square", basis=np.stack([WIDER[0], 2 * WIDER[0]]), scale=0.1)
    with problems.Scene(square, parameters=binding, x_opt=[0.1, 0.2]).open() as live:
        placed = live._scene.settings(torch.tensor([0.1, 0.2], dtype=torch.float64))
    found = placed["square.vertex_positions"].reshape(4, 3)
    np.testing.assert_allclose(found, VERTICES + 0.5 * WIDER[0], atol=1e-6)


def smoke():
    activate()
    import mitsuba as mi

    grid = np.full((2, 2, 2, 1), 0.5, np.float32)
    cube = {"type": "cube", "to_world": np.diag([0.5, 0.5, 0.5, 1.0]), "bsdf": {"type": "null"}}
    density = {"type": "gridvolume", "grid": mi.VolumeGrid(grid), "use_grid_bbox": False, "filter_type": "nearest"}
    medium = {"type": "heterogeneous", "sigma_t": density, "albedo": 0.8, "scale": 4.0}
    return room() | {"integrator": {"type": "volpath", "max_depth": 4}, "smoke": cube | {"interior": medium}}


@pytest.mark.render
def test_a_volume_grid_has_as_many_columns_as_numbers():
    binding = Numbers("smoke.interior_medium.sigma_t.data", bounds=(0, 2))
    problem = problems.Scene(smoke, parameters=binding, x_opt=np.linspace(0.1, 1, 8), spp=8)
    assert problem.n == 8
    assert problem.names[3].endswith("[0,1,1,0]")
    with problem.open() as live:
        x = torch.full((1, 8), 0.5, dtype=torch.float64)
        one, other = (live.fun(point, seed=np.array([1])).item() for point in (x, x * 3))
    assert one != other


@pytest.mark.render
@pytest.mark.parametrize(
    ("binding", "message"),
    [
        (Displacements("square", basis=np.ones((1, 5, 3))), "is of 5 vertices, and the mesh has 4"),
        (Displacements("ball", basis=np.ones((1, 5, 3))), "the scene has no parameter 'ball.vertex_positions'"),
        (Numbers("ball.bsdf.reflectance"), "is a colour of shape .*: use Color"),
        (Color("square.vertex_positions"), "is a buffer of numbers .*: use Numbers"),
    ],
)
def test_another_kind_is_refused(binding, message):
    with pytest.raises(SceneError, match=message):
        problems.Scene(square, parameters=binding, target=np.full((24, 24, 3), 0.2)).open()


@pytest.mark.parametrize("basis", [np.ones((4, 3)), np.ones((1, 4, 2)), "a", np.full((1, 4, 3), np.nan), []])
def test_a_bad_basis(basis):
    with pytest.raises(ValueError, match="'basis' must be finite numbers of shape"):
        Displacements("square", basis=basis)
