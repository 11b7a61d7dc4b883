"""Options of the matrix."""

from invopt.bench.settings import SIZES


def pytest_addoption(parser):
    parser.addoption("--size", choices=SIZES, default="tiny", help="size of the tasks of the matrix")
    parser.addoption("--seeds", type=int, default=1, help="starts of each cell of the matrix")
