"""Cells in processes: one that hangs, and one that uses workers of its own."""

import pytest

from invopt.bench import service
from invopt.bench.cell import Cell
from invopt.bench.runner import run_cells
from invopt.bench.store import Store

from ..installed_packages import install

SLOW_PART = """
    import time
    import invopt
    from invopt import estimators, optimizers
    from invopt.bench.presets import Preset

    def shares(problem, x0):
        found = invopt.minimize(lambda x: float(x @ x), x0=[1.0], rng=0, maxfev=9, workers=2, progress=False)
        assert found.nfev == 9
        return optimizers.GradientDescent()

    def hangs(problem, x0):
        time.sleep(600)

    hang = Preset(estimators.FiniteDifference, hangs)
    share = Preset(estimators.FiniteDifference, shares)
"""


@pytest.mark.timeout(240)
def test_a_cell_that_hangs_is_killed_and_one_may_use_workers(tmp_path, monkeypatch):
    entries = "[invopt.presets]\ntest-hang = slow_package:hang\ntest-share = slow_package:share\n"
    install(tmp_path, "slow_package", SLOW_PART, entries)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(service, "LOADING_TIMEOUT", 2.0)
    common = {"task": "quad", "seed": 0, "size": "tiny", "maxfev": 50}
    cells = [
        Cell(method="test-hang", maxtime=0.5, **common),
        Cell(method="test-share", maxtime=200.0, **common),
    ]
    failures = {}
    store = Store(tmp_path / "out")
    run_cells(cells, store, 1, lambda cell, failure: failures.update({cell.method: failure}))
    assert failures == {"test-hang": "did not end in 3 s and was killed", "test-share": None}
    assert {outcome.record["failure"] for outcome in store.outcomes()} == set(failures.values())
