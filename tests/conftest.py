"""Fixtures that all tests share."""

import os
import signal
from pathlib import Path

import pytest

# Programs that tests start import this checkout, as the tests do, in whichever environment they run.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_is_heard():
    """Restore the handler of Ctrl-C, which shells ignore in background processes."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def one_thread_of_torch():
    """Use one thread of torch: tensors are small, and waiting threads cost time."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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
def started_program(_programs):
    """Start a program in a separate process: see `programs.py`."""
    return _programs.start_program
