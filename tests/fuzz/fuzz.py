"""20,000 bad inputs to everything public: only documented outcomes, no hang, no abort.

A case is its number: ``fuzz.py --case 123`` shows one again. Exit status 1 if anything was found.

An outcome is documented if it is a result that keeps what results promise; one of invopt's errors; a builtin one that
our own code raises in so many words, or Python itself where arguments do not fit a signature; the user's own; for the
command, an exit of 0, 1 or 2 with a word of reason. Whatever else comes is a finding: an error that Python, NumPy,
torch or SQLite raised inside, a warning of theirs, a message that is empty, a hang, a process that died.
"""

import argparse
import collections
import json
import os
import select
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
# Seconds after which a process that has not ended a case by itself is killed; and to start one.
_PATIENCE, _START = 20.0, 180.0
# Cases that a process runs before a fresh one takes its place.
_TURN = 2500


class Process:
    """A worker, and the conversation with it."""

    def __init__(self):
        self.done = 0
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | _ONE_THREAD,
            start_new_session=True,
        )
        if self._line(_START) != b"ready\n":
            self.end()
            raise RuntimeError("a worker did not start")

    def _line(self, patience):
        ready, _, _ = select.select([self._process.stdout], [], [], patience)
        return self._process.stdout.readline() if ready else None

    def run(self, number):
        """Outcome of a case, and whether the process can go on."""
        self.done += 1
        self._process.stdin.write(f"{number}\n".encode())
        self._process.stdin.flush()
        line = self._line(_PATIENCE)
        if line:
            return json.loads(line), True
        name = "hang, killed" if line is None else f"abort {self._process.wait()}"
        self.end()
        return {
            "case": number,
            "said": "",
            "kind": "finding",
            "name": name,
            "text": "",
            "place": "",
            "seconds": 0,
        }, False

    def end(self):
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()


def work(numbers, lock, take):
    """Run cases until there are none left."""
    process = None
    while True:
        with lock:
            number = next(numbers, None)
        if number is None:
            break
        process = process or Process()
        outcome, alive = process.run(number)
        with lock:
            take(outcome)
        if not alive:
            process = None
        elif process.done >= _TURN:
            process.end()
            process = None
    if process is not None:
        process.end()


class Tally:
    """What came of the cases."""

    def __init__(self, total, area_of):
        self.total, self.area_of = total, area_of
        self.began = time.perf_counter()
        self.outcomes = []

    def take(self, outcome):
        """Count an outcome; every thousandth says how far it is."""
        self.outcomes.append(outcome)
        done = len(self.outcomes)
        if done % 1000 == 0 or done == self.total:
            found = sum(item["kind"] == "finding" for item in self.outcomes)
            print(
                f"{done} of {self.total} cases, {time.perf_counter() - self.began:.0f} s, {found} findings", flush=True
            )

    def show(self):
        """Findings, each kind once, and the table; returns the exit status."""
        kinds = collections.defaultdict(list)
        for item in self.outcomes:
            if item["kind"] == "finding":
                kinds[item["name"], item["place"]].append(item)
        for (name, place), items in sorted(kinds.items(), key=lambda pair: -len(pair[1])):
            first = min(items, key=lambda item: len(item["said"]))
            print(f"\n{len(items)} x {name} at {place}, cases {[item['case'] for item in items][:6]}")
            print(f"    {first['case']}: {first['said'][:500]}\n    {first['text']}")
        print(f"\n{'area':12}{'cases':>8}{'results':>9}{'errors':>8}{'findings':>10}{'slowest':>9}  errors by class")
        for area in dict.fromkeys(sorted(self.area_of(item["case"]) for item in self.outcomes)):
            self._row(area, [item for item in self.outcomes if self.area_of(item["case"]) == area])
        self._row("all", self.outcomes)
        print(f"{time.perf_counter() - self.began:.0f} s")
        return int(bool(kinds))

    def _row(self, area, items):
        count = collections.Counter(item["kind"] for item in items)
        classes = collections.Counter(item["name"] for item in items if item["kind"] == "error")
        slowest = max(item["seconds"] for item in items)
        shown = ", ".join(f"{name} {k}" for name, k in classes.most_common())
        print(
            f"{area:12}{len(items):8}{count['result']:9}{count['error']:8}{count['finding']:10}{slowest:8.1f}s  {shown}"
        )


def main():
    """Run the cases."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=20_000, help="how many cases")
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--area", help="only cases of this area")
    parser.add_argument("--case", type=int, help="show this case alone, with its traceback")
    parser.add_argument("--out", type=Path, help="write all outcomes here, a JSON object a line")
    asked = parser.parse_args()
    # Imports the library, with one thread each, as in the workers.
    os.environ |= _ONE_THREAD
    import worker
    from areas import area_of

    if asked.case is not None:
        worker.show(asked.case)
        return 0
    chosen = range(asked.first, asked.first + asked.count)
    numbers = [number for number in chosen if asked.area in (None, area_of(number))]
    tally, lock, left = Tally(len(numbers), area_of), threading.Lock(), iter(numbers)
    threads = [threading.Thread(target=work, args=(left, lock, tally.take)) for _ in range(asked.workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if asked.out is not None:
        asked.out.write_text("".join(json.dumps(item) + "\n" for item in tally.outcomes))
    return tally.show()


if __name__ == "__main__":
    raise SystemExit(main())
