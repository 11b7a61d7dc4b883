import numpy as np
import pytest

from invopt.rendering.meshes import Mesh, join, revolve, sweep

SPHERE = np.array([[np.sin(t), -np.cos(t)] for t in np.linspace(0, np.pi, 25)]).clip([0, -1])
PATH = np.array([[np.cos(t), np.sin(t)] for t in np.linspace(-1.2, 1.2, 30)])


def edge_uses(mesh: Mesh) -> np.ndarray:
    """Number of faces at each edge, seams welded."""
    faces = mesh.welded_faces()
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    return np.unique(edges, axis=0, return_counts=True)[1]


def volume(mesh: Mesh) -> float:
    a, b, c = (mesh.vertices[mesh.faces[:, corner]] for corner in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


@pytest.mark.parametrize("mesh", [revolve(SPHERE, 48), sweep(PATH, (0.1, 0.2), 16)], ids=["revolve", "sweep"])
def test_closed_and_facing_outwards(mesh: Mesh) -> None:
    assert (edge_uses(mesh) == 2).all()
    assert volume(mesh) > 0
    assert mesh.areas().min() > 0
    assert mesh.uv.min() == 0
    assert mesh.uv.max() == 1
    assert np.unique(mesh.faces).size == len(mesh.vertices)


def test_sphere_has_the_volume_and_normals_of_a_sphere() -> None:
    mesh = revolve(SPHERE, 48)
    assert volume(mesh) == pytest.approx(4 / 3 * np.pi, rel=0.01)
    assert np.einsum("ij,ij->i", mesh.normals(), mesh.vertices).min() > 0.995


def test_tube_has_the_volume_of_its_length() -> None:
    expected = np.pi * 0.1 * 0.2 * 2.4  # section times length, by Pappus
    assert volume(sweep(PATH, (0.1, 0.2), 64)) == pytest.approx(expected, rel=0.01)


def test_join_keeps_both() -> None:
    a, b = revolve(SPHERE, 12), sweep(PATH, (0.1, 0.2), 8)
    both = join(a, b)
    assert len(both.faces) == len(a.faces) + len(b.faces)
    assert volume(both) == pytest.approx(volume(a) + volume(b))
