"""Options of the matrix, and what benchmarks do not share with tests."""

import faulthandler

import pytest

from invopt.bench.settings import SIZES


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Benchmarks have as many as torch starts by itself."""


@pytest.fixture(autouse=True)
def as_long_as_they_take():
    """The process is not ended after the time that tests may take: benchmarks have timeouts of their own."""
    faulthandler.cancel_dump_traceback_later()


def pytest_addoption(parser):
    parser.addoption("--size", choices=SIZES, default="tiny", help="size of the tasks of the matrix")
    parser.addoption("--seeds", type=int, default=1, help="starts of each cell of the matrix")
