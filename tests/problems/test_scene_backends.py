"""All backends of Mitsuba give the same pictures of a scene."""

import functools
import itertools
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from invopt.exceptions import BackendError
from invopt.rendering import choose

SCALAR = """
import sys
import numpy as np
from tiny_scenes import room, TINY, ANSWER
from invopt import problems
problem = problems.Scene(room, parameters=TINY, x_opt=ANSWER, spp=64, backend=sys.argv[2])
with problem.open() as live:
    np.save(sys.argv[1], [live.image(problem.x_opt, seed=s) for s in range(24)])
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, program):
    """Pictures of a backend, each rendered in a process of its own, once."""
    folder = tmp_path_factory.mktemp("pictures")
    shutil.copy(Path(__file__).with_name("tiny_scenes.py"), folder)

    @functools.cache
    def of(backend):
        path = folder / f"{backend}.npy"
        env = {**os.environ, "INVOPT_BACKEND": "", "PYTHONPATH": str(folder)}
        program(SCALAR, str(path), backend, env=env, check=True, timeout=250)
        return np.load(path).astype(float).reshape(24, -1)

    return of


@pytest.mark.render
@pytest.mark.parametrize("pair", list(itertools.combinations(["scalar", "llvm", "cuda"], 2)), ids="-".join)
def test_backends_agree_pairwise(pair, pictures):
    for backend in pair:
        try:
            choose(backend)
        except BackendError as error:
            pytest.skip(str(error))
    found = [pictures(backend) for backend in pair]
    assert not differ(*found)
    assert differ(found[0], 1.02 * found[1])


def differ(a, b, alpha=1e-6):
    """Whether two sets of pictures differ by more than chance at rate alpha, in any pixel or in the mean."""
    a, b = (np.column_stack([s, s.mean(1)]) for s in (a, b))
    noisy = (a.std(0) > 1e-4) & (b.std(0) > 1e-4)
    p = stats.ttest_ind(a[:, noisy], b[:, noisy], equal_var=False).pvalue
    return bool(p.min() < alpha / p.size)
