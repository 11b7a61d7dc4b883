"""Services for tests of the pool of processes, importable in its processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import invopt
from invopt.evaluate.processes.service import Service


class Obedient(Service):
    """Does what a request says; a lost request is answered with why it was lost."""

    def open(self):
        return "open"

    def answer(self, request):
        what, argument = request
        if what == "print":
            print(argument, flush=True)
            sys.stderr.write("and an error\n")
            sys.stderr.flush()
        elif what == "sleep":
            time.sleep(argument)
        elif what == "exit":
            os._exit(argument)
        elif what == "program":
            subprocess.run([sys.executable, "-c", argument], check=True)
        elif what == "minimize":
            return invopt.minimize(
                bowl, "function-value", "portfolio", x0=[1.0, 2.0], rng=0, maxfev=13, workers=argument
            ).fun
        return what, os.getpid()

    def close(self):
        pass

    def lost(self, request, loss):
        return "lost", loss

    def check_opened(self, result):
        assert result == "open"


class Repeating(Obedient):
    repeats = True


class OpensNever(Obedient):
    """Opening kills the process, or never ends."""

    def __init__(self, hangs):
        self.hangs = hangs

    def open(self):
        if self.hangs:
            time.sleep(600)
        os._exit(4)


class Closes(Obedient):
    """Leaves a file behind when it is closed."""

    def __init__(self, path: Path):
        self.path = path

    def close(self):
        self.path.write_text("closed")


def bowl(x):
    return float(x @ x)
