"""Fixtures that all tests share."""

import gc
import os
import signal
import sys
from pathlib import Path

import pytest

from invopt.rendering import backend

# Programs that tests start import this checkout, as the tests do, in whichever environment they run.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))


# What so many new modules bring is put out of reach of the garbage collector once more.
_MODULES = 100
_frozen = 0


def pytest_collection_finish():
    _freeze()


def pytest_runtest_teardown(nextitem):
    if len(sys.modules) >= _frozen + _MODULES:
        _freeze()


def _freeze():
    """Exclude what exists from later collections: each scene that is closed asks for one, of 0.3 s without this."""
    global _frozen
    gc.collect()
    gc.freeze()
    _frozen = len(sys.modules)


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_is_heard():
    """Restore the handler of Ctrl-C, which shells ignore in background processes."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Use one thread of torch and one of the renderer: work is small, and waiting threads cost time."""
    import torch

    threads = torch.get_num_threads()
    backend.set_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def threads_of_the_renderer():
    """Each test leaves their number as it was."""
    before = _renderer_threads()
    yield
    after = _renderer_threads()
    if after != before and None not in (before, after):
        backend.set_threads(before)
        pytest.fail(f"the test has left the renderer {after} threads in place of {before}")


@pytest.fixture
def one_renderer_thread(threads_of_the_renderer):
    """Use one thread for small pictures, and restore the numbers afterwards."""
    import drjit
    import torch

    backend.activate()
    before = drjit.thread_count(), torch.get_num_threads()
    backend.set_threads(1)
    yield
    backend.set_threads(*before)


def _renderer_threads():
    """The present number; before a backend is active, the number asked for, or as many as there are cores."""
    if backend.active() is None:
        return backend._threads or os.cpu_count()
    return sys.modules["drjit"].thread_count()


@pytest.fixture(scope="session")
def _programs():
    from . import programs

    yield programs
    programs.stop_servers()


@pytest.fixture(scope="session")
def program(_programs):
    """Run a program in a separate process: see `programs.py`."""
    return _programs.run_program


@pytest.fixture(scope="session")
def python(_programs):
    """Run Python with arguments, as on the command line: see `programs.py`."""
    return _programs.run_python


@pytest.fixture(scope="session")
def started_python(_programs):
    """Start Python with arguments: see `programs.py`."""
    return _programs.start_python


@pytest.fixture(scope="session")
def started_program(_programs):
    """Start a program in a separate process: see `programs.py`."""
    return _programs.start_program
