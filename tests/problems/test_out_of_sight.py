"""An object that leaves the picture does not count as found."""

import numpy as np
import pytest

import invopt
from invopt import problems
from invopt.rendering import Translation

from ..rendering.rooms import room

KEPT = ("type", "integrator", "sensor", "ball", "lamp", "bulb")


@pytest.mark.render
@pytest.mark.parametrize("start", [(0.5, 0.0), (1.0, 0.0), (0.3, 1.0), (6.0, 0.0)])
def test_no_success_where_nothing_is_seen(start):
    """A picture without the ball is nearer to the target than one with a misplaced ball."""
    whole = room(depth=2, size=12)
    problem = problems.Scene(
        {name: whole[name] for name in KEPT}, parameters=Translation("ball", axes="xy"), x_opt=np.zeros(2), spp=8
    )
    nothing = invopt.minimize(problem, "function-value", "nelder-mead", x0=[50.0, 50.0], rng=0, maxfev=4).fun
    ends = [invopt.minimize(problem, x0=start, rng=seed, maxfev=60) for seed in range(4)]
    found = [problem.parameter_error(each.x) < 0.05**2 for each in ends]
    lost = [each.fun == pytest.approx(nothing, rel=1e-6) for each in ends]
    # From six units away, nothing is ever seen.
    assert all(lost) if start[0] > 5 else any(lost) or any(found)
    assert not any(each.success and not right for each, right in zip(ends, found, strict=True))
