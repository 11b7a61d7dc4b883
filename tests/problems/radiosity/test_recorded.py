"""Recorded kernels give the same bits as traced ones."""

import numpy as np
import pytest
import torch

from invopt.problems import NeuralRadiosity
from invopt.problems.radiosity import HashGrid

from .test_transport import furnished

pytestmark = pytest.mark.render
CALLS = 6
LONGER = {"bounces": 2, "dark_density": 0.1}


@pytest.fixture(scope="module")
def mi():
    from invopt.rendering import activate
    from invopt.rendering.backend import Backend

    if activate() is Backend.SCALAR:
        pytest.skip("the scalar backend traces nothing")
    import mitsuba

    return mitsuba


@pytest.mark.parametrize(
    ("scene", "sampling", "options", "recorded"),
    [
        ("furnished", "uniform", {}, True),
        ("furnished", "bsdf", {}, True),
        # Dr.Jit 1.5 records no emitter sampling where there are two, unless more follows it.
        ("furnished", "nee", {}, False),
        ("furnished", "nee", LONGER, True),
        ("gap-room", "nee", {}, True),
        ("gap-room", "nee", LONGER, True),
        ("gap-room", "guided", {}, True),
    ],
)
def test_batches(scene, sampling, options, recorded):
    source = furnished(shiny=True) if scene == "furnished" else scene
    problem = NeuralRadiosity(source, preset="paper", field="tiny", sampling=sampling, **options)
    count, m = 37, 3
    with problem.open() as live:
        transport = live.transport
        for seed in range(CALLS):
            query, emitted, incident = transport.batch(count, m, seed, 100 + seed)
            point = transport.points(count, seed)
            at_point, shining, _ = transport.query(point)
            arriving = transport.incident(point, m, 100 + seed)
            found = [*query, emitted, *incident.query, *incident[1:]]
            expected = [*at_point, shining, *arriving.query, *arriving[1:]]
            assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
        (program,) = transport._programs.values()
        if recorded:
            assert program.recordings == 1
        else:
            assert program.recordings is None


def test_a_function_that_cannot_be_recorded_is_traced(mi):
    import drjit as dr

    from invopt.rendering.recorded import Recorded

    class Holder:
        hidden = mi.Float(np.arange(4.0))

    holder = Holder()
    dr.eval(holder.hidden)
    program = Recorded(lambda x: [holder.hidden + x])
    for i in range(CALLS):
        np.testing.assert_array_equal(program(dr.opaque(mi.Float, i))[0], np.arange(4.0) + i)
    assert program.recordings is None


def test_a_recorded_result_that_differs_is_not_taken(mi):
    import drjit as dr

    from invopt.rendering.recorded import Recorded

    class Counter:
        calls = 0

    counter = Counter()

    def counted(x):
        counter.calls += 1
        return [x + counter.calls]

    program = Recorded(counted)
    found = [float(program(dr.opaque(mi.Float, 0.0))[0][0]) for _ in range(CALLS)]
    # The first call is made both ways; the recorded one always returns 1.
    assert found == [3 + i for i in range(CALLS)]


@pytest.mark.usefixtures("one_renderer_thread")
def test_lookups_of_other_sizes():
    grid = HashGrid(levels=3, base=2, log2_size=6)
    rng = torch.Generator().manual_seed(0)
    with NeuralRadiosity("gap-room", preset="paper", field="tiny").open():
        for count in (33, 64, 7, 33, 64):
            table = torch.randn(grid.size, generator=rng, requires_grad=True)
            points = torch.rand(3, count, generator=rng)
            weights = torch.randn(grid.width, count, generator=rng)
            found, expected = grid.lookup_drjit(points, table), grid.lookup(points, table)
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
            for one, other in zip(
                torch.autograd.grad(found, table, weights), torch.autograd.grad(expected, table, weights), strict=True
            ):
                torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
