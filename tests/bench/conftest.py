"""A small benchmark matrix, run once per test session."""

import pytest

from invopt.bench.matrix import bench


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A small matrix, run once."""
    folder = tmp_path_factory.mktemp("bench") / "out"
    summary = bench(
        ["quad", "box2"],
        ["paper-hvpa", "paper-fr22", "nelder-mead", "mitsuba"],
        out=folder,
        seeds=3,
        size="tiny",
        workers=2,
        progress=False,
    )
    assert summary.cells == 21
    assert not summary.failures
    assert list(summary.refused) == ["box2 mitsuba"]
    return folder
