"""Options of the matrix, and what benchmarks do not share with tests."""

import pytest

from invopt.bench.settings import SIZES


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Benchmarks have as many as torch starts by itself."""


def pytest_addoption(parser):
    parser.addoption("--size", choices=SIZES, default="tiny", help="size of the tasks of the matrix")
    parser.addoption("--seeds", type=int, default=1, help="starts of each cell of the matrix")
