"""Fixtures for tests of workers: importable objectives, no process left."""

import os
import threading

import pytest

from .evaluators import HERE, children


@pytest.fixture
def importable(monkeypatch):
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setenv("PYTHONPATH", HERE, prepend=os.pathsep)


@pytest.fixture
def nothing_is_left_behind():
    before = set(children())
    yield
    assert set(children()) <= before
    # Not all threads: dask's client leaves some of its own running.
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("invopt")]
