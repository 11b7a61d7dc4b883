"""Renders per second and memory: evaluations in this process and in two, beside a plain loop over the same scene.

Run with ``pytest tests/benchmarks -k throughput``; prints a table. The plain loop is what one writes by hand:
``params[key] = value; params.update(); mi.render(scene, spp=..., seed=...)``, in this process, with all its threads,
and without a loss. The three are measured round after round, in random order, for a process that has just waited is
given more of a busy machine; a ratio is the median over rounds. It is asserted only over rounds in which others used
little of the machine.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import NamedTuple

import numpy as np
import psutil
import pytest
import torch
from rich.console import Console
from rich.table import Table

from invopt.core.objective import Capability
from invopt.core.registry import find, names
from invopt.evaluate.evaluator import CountingEvaluator
from invopt.evaluate.workers.open import open_objective

TASKS = [name for name in ("mug", "shadow", "bunny", "texture") if name in names("problems")]
SPP = (1, 4, 16)
WORKERS = 2
ROUNDS = 12
SECONDS = 0.5  # of each measurement
QUIET = 0.05  # share of the machine that others may use where a ratio is asserted
MEBIBYTE = 2**20

pytestmark = [pytest.mark.render, pytest.mark.timeout(1800)]


class Usage:
    """Processor time, of this process with its workers and of the whole machine."""

    def __init__(self):
        self.began = time.perf_counter()
        self.own, self.all = self._own(), self._all()

    @staticmethod
    def _own():
        us = psutil.Process()
        times = [process.cpu_times() for process in (us, *us.children(recursive=True))]
        return sum(t.user + t.system for t in times)

    @staticmethod
    def _all():
        t = psutil.cpu_times()
        return sum(t) - t.idle - getattr(t, "iowait", 0.0) - getattr(t, "guest", 0.0)

    def of_others(self):
        """Share of the machine's cores that others have used since."""
        others = self._all() - self.all - (self._own() - self.own)
        return max(others, 0.0) / (time.perf_counter() - self.began) / os.cpu_count()


@contextmanager
def recorded():
    """Scenes loaded and parameters set meanwhile."""
    import mitsuba as mi

    from invopt.rendering import activate

    activate()
    scenes, assignments = [], []
    instantiate, assign = mi.parser.instantiate, mi.SceneParameters.__setitem__

    def loading(*args):
        loaded = instantiate(*args)
        scenes.append(loaded)
        return loaded

    def assigning(self, key, value):
        assignments.append((key, value))
        assign(self, key, value)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mi.parser, "instantiate", loading)
        patch.setattr(mi.SceneParameters, "__setitem__", assigning)
        yield scenes, assignments


def evaluator(objective, n):
    return CountingEvaluator(objective, Capability.FUN, torch.ones(n, dtype=torch.float64))


def points(problem, k):
    return torch.from_numpy(problem.starts(np.random.default_rng(0), k))


class PlainLoop:
    """Poses of `points`, as the problem itself set them, rendered one after the other."""

    def __init__(self, problem, scenes, assignments, objective):
        import mitsuba as mi

        self._poses = []
        for row in points(problem, 4):
            assignments.clear()
            objective.fun(row[None], seed=np.array([1]))
            self._poses.append(list(assignments))
        assert all(self._poses), "the problem sets its parameters in a way that this cannot see"
        self._scene = scenes[-1]
        self._params = mi.traverse(self._scene)

    def __call__(self, k, spp):
        import drjit as dr
        import mitsuba as mi

        for i in range(k):
            for key, value in self._poses[i % len(self._poses)]:
                self._params[key] = value
            self._params.update()
            dr.eval(mi.render(self._scene, spp=spp, seed=i + 1))
            dr.sync_thread()


class Evaluations:
    """Values at `points`, with a new seed each."""

    def __init__(self, problem, objective):
        self._evaluator, self._problem = evaluator(objective, problem.n), problem
        self._points = points(problem, 4)

    def __call__(self, k, spp):
        rows = self._points[torch.arange(k) % len(self._points)]
        self._evaluator.fun(rows, seed=np.arange(1, k + 1), spp=spp)


class Round(NamedTuple):
    """Renders per second, and what others used of the machine."""

    plain: float
    one: float
    two: float
    others: float


def rate(run, k, spp):
    began = time.perf_counter()
    run(k, spp)
    return k / (time.perf_counter() - began)


@pytest.fixture(scope="module", params=TASKS)
def measured(request):
    """Rounds of measurements by samples per pixel."""
    problem = find("problems", request.param)()
    found = {}
    with ExitStack() as stack:
        with recorded() as (scenes, assignments):
            here = stack.enter_context(open_objective(problem))
            plain = PlainLoop(problem, scenes, assignments, here)
        there = stack.enter_context(open_objective(problem, WORKERS))
        runs = plain, Evaluations(problem, here), Evaluations(problem, there)
        for spp in SPP:
            # The kernels are compiled first; counts are even, so that no worker waits for the other at the end.
            sizes = [2 * max(int(rate(run, 8, spp) and rate(run, 16, spp) * SECONDS / 2), 2) for run in runs]
            found[spp] = [one_round(runs, sizes, spp, np.random.default_rng(i)) for i in range(ROUNDS)]
    return request.param, found


def one_round(runs, sizes, spp, rng):
    usage, rates = Usage(), [0.0] * len(runs)
    for i in rng.permutation(len(runs)):
        rates[i] = rate(runs[i], sizes[i], spp)
    return Round(*rates, usage.of_others())


def test_throughput(measured, capsys):
    task, found = measured
    table = Table(title=f"{task}: renders per second, {os.cpu_count()} cores; medians of {ROUNDS} rounds")
    for name in ("spp", "plain loop", "one process", "ratio", f"workers={WORKERS}", "ratio", "others used"):
        table.add_column(name, justify="right", no_wrap=True)
    for spp, rounds in found.items():
        one, two = (median(getattr(r, kind) / r.plain for r in rounds) for kind in ("one", "two"))
        plain, alone, shared, others = (median(column) for column in zip(*rounds, strict=True))
        cells = f"{plain:.1f}", f"{alone:.1f}", f"{one:.2f}", f"{shared:.1f}", f"{two:.2f}", f"{others:.0%}"
        table.add_row(str(spp), *cells)
    with capsys.disabled():
        Console(width=120).print("", table)
    quiet = [r for r in found[4] if r.others < QUIET]
    if len(quiet) < 3:
        pytest.skip(f"others used more than {QUIET:.0%} of the machine in all but {len(quiet)} rounds: no verdict")
    # A fiftieth is what the medians of quiet rounds vary by.
    assert median(r.one / r.plain for r in quiet) >= 0.98
    if os.cpu_count() >= WORKERS:
        assert median(r.two / r.plain for r in quiet) >= 1.8


@pytest.mark.parametrize("workers", [1, WORKERS])
@pytest.mark.parametrize("task", TASKS)
def test_throughput_does_not_leak(task, workers, capsys):
    problem = find("problems", task)()

    def resident():
        us = psutil.Process()
        return np.array([process.memory_info().rss for process in (us, *us.children(recursive=True))]) / MEBIBYTE

    with open_objective(problem, workers) as objective:
        run = Evaluations(problem, objective)
        run(200, 1)
        before = resident()
        for _ in range(20):
            run(100, 1)
        grown = resident() - before
    with capsys.disabled():
        Console().print(f"\n{task}, workers={workers}: grown by {np.round(grown, 1)} MiB over 2000 evaluations")
    assert (grown < 20).all()
