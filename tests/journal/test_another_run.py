"""A journal is used for the problem that it was written for, and for no other."""

import functools

import numpy as np
import pytest

import invopt
from invopt import Journal, problems
from invopt.rendering import Color, Translation, activate
from invopt.rendering.backend import two_threads

from ..rendering.rooms import room

PARAMETERS = [Translation("ball", axes="x", bounds=(-1, 1)), Color("ball.bsdf.reflectance")]


def seen(target):
    return problems.Scene(room(depth=2, size=12), parameters=PARAMETERS, target=target)


@pytest.mark.render
def test_another_target_or_scene_is_another_run(tmp_path):
    picture = np.full((12, 12, 3), 0.25, dtype=np.float32)
    options = {"rng": 0, "maxfev": 9, "checkpoint": tmp_path / "run"}
    first = invopt.minimize(seen(picture), **options)
    assert invopt.minimize(seen(picture.copy()), **options).n_replayed == first.nfev
    picture[5, 5, 1] += 1e-7
    other = room(depth=2, size=12)
    other["ball"]["radius"] = 0.31
    for problem in (seen(picture), problems.Scene(other, parameters=PARAMETERS, target=picture)):
        assert invopt.minimize(problem, **options).n_replayed == 0
    assert len(Journal(tmp_path / "run").runs) == 3


@pytest.mark.render
def test_a_file_that_is_replaced_on_disk_is_another_run(tmp_path):
    activate()
    import mitsuba as mi

    photograph = tmp_path / "photo.exr"
    for value in (0.25, 0.5):
        with two_threads():
            mi.Bitmap(np.full((12, 12, 3), value, dtype=np.float32)).write(str(photograph))
        result = invopt.minimize(seen(photograph), rng=0, maxfev=9, checkpoint=tmp_path / "run")
        assert result.n_replayed == 0


def misfit(center, x):
    return float(((x - np.array(center)) ** 2).sum())


class Misfit:
    def __init__(self, center):
        self.center = center

    def __call__(self, x):
        return misfit(self.center, x)

    def method(self, x):
        return misfit(self.center, x)


def closure(center):
    def fun(x):
        return misfit(center, x)

    return fun


MAKE = {
    "partial": lambda center: functools.partial(misfit, center),
    "closure": closure,
    "bound method": lambda center: Misfit(center).method,
    "object": Misfit,
    "lambda": lambda center: lambda x: misfit(center, x),
    "default": lambda center: lambda x, center=center: misfit(center, x),
}


@pytest.mark.parametrize("kind", MAKE)
def test_functions_are_told_by_what_they_close_over(kind, tmp_path):
    for center in ([1, 1], [-4, 4]):
        problem = problems.Function(fun=MAKE[kind](center), x0=[0.0, 0.0])
        result = invopt.minimize(problem, rng=0, maxfev=300, checkpoint=tmp_path / "run")
        assert result.n_replayed == 0
        assert result.fun == misfit(center, result.x) < 1e-3
        again = problems.Function(fun=MAKE[kind](center), x0=[0.0, 0.0])
        assert invopt.minimize(again, rng=0, maxfev=300, checkpoint=tmp_path / "run").n_replayed == result.nfev


TABLE = np.linspace(0, 1, 3000)


def by_table(table):
    return lambda x: float(((x - table[1500]) ** 2).sum())


def changed_in_the_middle():
    table = TABLE.copy()
    table[1500] += 1e-15
    return table


# Each is a run of its own beside the first: bounds, scales, start, an array that numpy's repr elides.
OTHERS = [
    {"bounds": [(-1, 2), (-1, 2)]},
    {"bounds": [(-1, 2), (-1, 2.0000001)]},
    {"x_scale": [1.0, 2.0]},
    {"x0": [0.0, 1e-16]},
    {"fun": by_table(changed_in_the_middle())},
    {"rng": 1},
    {"estimator": "shared-samples"},
    {"method": "adam"},
]


def test_bounds_scales_starts_parts_and_whole_arrays_count(tmp_path):
    path = tmp_path / "run"

    def run(fun=None, **changes):
        made = by_table(TABLE) if fun is None else fun
        return invopt.minimize(made, **{"x0": [0.0, 0.0], "rng": 0, "maxfev": 60, "journal": path} | changes)

    first = run()
    assert run().n_replayed == first.nfev
    for others in OTHERS:
        assert run(**others).n_replayed == 0
    assert len(Journal(path).runs) == 1 + len(OTHERS)
