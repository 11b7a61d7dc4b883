"""A process forked after a run can run too, without waiting for threads of torch."""

import os

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

BEGIN = """
import multiprocessing, os, sys, warnings
import numpy as np, torch
import invopt
from invopt import problems

warnings.simplefilter("ignore")
torch.set_num_threads(2)
# Enough work for torch to start its threads.
torch.ones(1000, 1000).exp().sum()

def residuals(x):
    return np.outer(x - 1.0, np.linspace(1.0, 2.0, 40_000)).ravel()

def with_torch(x):
    return float((torch.ones(1000, 1000) * float(x[0])).exp().sum())

def go(kind):
    options = dict(rng=0, maxfev=30, progress=False)
    if kind == "default":
        return invopt.minimize(problems.Function(fun=residuals, x0=np.zeros(2), residuals=True), **options).nfev
    if kind == "torch":
        return invopt.minimize(with_torch, x0=[1.0], **options).nfev
    if kind == "mug":
        return invopt.minimize(problems.Mug(size="tiny"), **options).nfev
    if kind == "workers":
        return invopt.minimize(residuals_norm, x0=[0.0, 0.0], workers=2, **options).nfev
    weights = torch.nn.Linear(300, 2)
    inner = problems.Function(fun=lambda x: float(x @ x), x0=[0.5, 0.5])
    data = list(torch.ones(64, 300))
    network = problems.GreyBox(model=weights, inner=inner, data=data, batch_size=64)
    return invopt.minimize(network, **options | dict(maxfev=600)).nfev

def residuals_norm(x):
    return float(np.mean(residuals(x) ** 2))

kind = sys.argv[1]
first = go(kind)
"""
WAYS = {
    "fork": """
pid = os.fork()
if pid == 0:
    os._exit(0 if go(kind) == first else 1)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
""",
    "pool": """
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(int(set(pool.map(go, [kind] * 2)) != {first}))
""",
    "in a callback": """
def fork(*, intermediate_result):
    if intermediate_result.nit == 1:
        pid = os.fork()
        if pid == 0:
            os._exit(0 if go(kind) == first else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))

invopt.minimize(lambda x: float(x @ x), x0=[1.0], rng=0, maxfev=20, callback=fork, progress=False)
""",
}


@pytest.mark.parametrize(
    ("way", "kind"),
    [
        ("fork", "default"),
        ("pool", "default"),
        ("in a callback", "default"),
        ("fork", "torch"),
        ("fork", "network"),
        ("fork", "workers"),
        pytest.param("fork", "mug", marks=pytest.mark.render),
    ],
)
def test_a_forked_process_runs_as_its_parent_did(way, kind, program):
    done = program(BEGIN + WAYS[way], kind)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
