"""Objectives that worker processes import."""

import os
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np

FREED = threading.Event()
A = np.random.default_rng(0).standard_normal((7, 7))


class OwnError(Exception):
    """An exception that cannot be made again from its arguments."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def bowl(x):
    return float(np.sum((x - 0.3) ** 2) + 0.1 * np.sin(9 * x).sum())


def noisy(x, *, seed):
    return bowl(x) + 0.01 * float(np.random.default_rng(seed).standard_normal())


def batched(x):
    # A product of matrices: its bits depend on the number of rows.
    return np.square(x @ A[: x.shape[1]]).sum(1) + np.exp(np.sin(x)).mean(1)


def scipy_objective(x, centre):
    return float(np.sum((x - centre) ** 2))


def slow(x):
    time.sleep(0.05)
    return bowl(x)


def stuck_with_note(x, folder):
    (folder / f"{os.getpid()}").touch()
    time.sleep(600)


def fails_left_of(x, edge):
    if x[0] < edge:
        raise ZeroDivisionError(f"left of {edge}")
    return float(np.sum(x**2))


def raises_own(x):
    raise OwnError(1, 2)


def raises_unlike_any(x):
    class LocalError(Exception):
        pass

    raise LocalError("made here")


def nothing_but_nan(x):
    return float("nan")


def dies(x):
    os._exit(3)


def dies_once(x, marker):
    if not marker.exists():
        marker.touch()
        os._exit(3)
    return bowl(x)


def notes_each_call(x, folder):
    (folder / f"{time.time_ns()}-{os.getpid()}").touch()
    time.sleep(0.02)
    return bowl(x)


def threads(x):
    import torch

    return float(torch.get_num_threads())


def loads_mitsuba(x):
    import sys

    return float("mitsuba" in sys.modules or "drjit" in sys.modules)


def once(folder: Path):
    return partial(dies_once, marker=folder / "died")


class OnlyHere:
    """Something that the workers cannot import."""

    def __reduce__(self):
        return _made_by, (os.getpid(),)

    def __call__(self, x):
        return bowl(x)


def _made_by(pid):
    if os.getpid() != pid:
        raise ModuleNotFoundError("no such module here")
    return OnlyHere()


def slow_forever(x):
    time.sleep(600)


def dies_left_of_zero(x):
    if x[0] < 0:
        os._exit(3)
    return float(np.sum(x**2))


def waits_left_of_zero(x):
    if x[0] < 0:
        FREED.wait(600)
    return float(np.sum(x**2))


def walled(x):
    return float("inf") if x[0] < 1.5 else float(np.sum(x**2))
