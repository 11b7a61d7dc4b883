"""A process that runs cases: numbers come in, outcomes go out, one a line."""

import gc
import json
import logging
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

import matplotlib as mpl
import outcomes
from areas import case_of
from values import told

# Seconds of work, or on the clock, after which a case hangs. An idle machine does in 5 seconds what a busy one does in
# 10, so that the work is what counts.
WORK, CLOCK = 5.0, 10.0
# What a case may take in memory, beside what there is.
_MEMORY = 6 << 30


def main():
    """Answer until there is nothing more to read."""
    answers = os.fdopen(os.dup(1), "w")
    numbers = os.fdopen(os.dup(0), "r")
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        if stream < 2 or len(sys.argv) < 2:
            os.dup2(silence, stream)
    logging.disable()
    mpl.use("Agg")
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    for alarm in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(alarm, outcomes.too_long)
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        _warm_up(Path(name))
        print("ready", file=answers, flush=True)
        for number in numbers:
            print(json.dumps(run(int(number), Path(name))), file=answers, flush=True)
            if int(number) % 50 == 0:
                gc.collect()


def _warm_up(folder):
    """What is imported and compiled once is not counted."""
    from invopt import rendering

    rendering.activate(None)
    for number in range(-60, 0):
        run(number, folder)


def run(number, folder):
    """Outcome of a case as a dictionary."""
    before = time.perf_counter()
    said = "?"
    try:
        signal.setitimer(signal.ITIMER_PROF, WORK)
        signal.setitimer(signal.ITIMER_REAL, CLOCK)
        said, call = case_of(number, folder)
        found = outcomes.judge(call)
    except outcomes.TooLong as long:
        found = outcomes.Outcome("finding", "hang", "", str(long))
    except Exception:  # noqa: BLE001 - a fault of the fuzzer's own must not end it
        found = outcomes.Outcome("finding", "the fuzzer's own", traceback.format_exc()[-600:])
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
    shown = [text.encode(errors="replace").decode() for text in (said, found.text)]
    seconds = time.perf_counter() - before
    return {
        "case": number,
        "said": shown[0][:1000],
        "kind": found.kind,
        "name": found.name,
        "text": shown[1][:400],
        "place": found.place,
        "seconds": seconds,
    }


def show(number):
    """One case with its whole traceback."""
    logging.disable()
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        said, call = case_of(number, Path(name))
        print(said.encode(errors="replace").decode())
        for alarm in (signal.SIGALRM, signal.SIGPROF):
            signal.signal(alarm, outcomes.too_long)
        signal.setitimer(signal.ITIMER_PROF, WORK)
        try:
            print(told(call()))
        except BaseException:  # noqa: BLE001 - shown
            traceback.print_exc(file=sys.stdout)
    print(run(number, Path(tempfile.mkdtemp())))


if __name__ == "__main__":
    main()
