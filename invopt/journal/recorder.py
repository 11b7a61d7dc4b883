"""Recorder: reads and writes one run of a journal."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from invopt.exceptions import JournalError
from invopt.journal import owner
from invopt.journal.claim import Claim
from invopt.journal.rows import COLUMNS, Arrived, Evaluation, from_row
from invopt.journal.run_rows import alias, take
from invopt.journal.schema import connect, errors_of

__all__ = ["Recorder"]

_logger = logging.getLogger("invopt.journal")
# Seconds that evaluations may wait in memory: those of a cheap function are committed together, and at most so many
# seconds of them are lost with the process.
_MAX_WAIT = 0.5
# Seconds of one evaluation, and of several together, after which they are committed at once: a commit takes about 100
# microseconds (`tests/benchmarks/test_journal_overhead.py`), 5 % and 0.5 % of these.
_SECONDS_OF_ONE, _SECONDS_OF_SEVERAL = 2e-3, 20e-3
# Seconds between attempts to write a file that could not be written.
_RETRY_AFTER = 5.0
# Bytes that may wait in memory while a file cannot be written, so that the journal never fills the memory.
_MAX_BYTES_WAITING = 2**28
# Points that differ by at most this share of their size or scale are the same, computed by other arithmetic: the square
# root of float64's machine precision, 2.2e-16.
_SAME_POINT_RTOL = 1.5e-8
_Key = tuple[str, bytes, int, int | None]


class Recorder:
    """Reads and writes one run of a journal.

    Parameters
    ----------
    claim : Claim
        The run: one to continue, or a new one.
    """

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._owner = owner.acquire()
        self._waiting: list[Arrived] = []
        self._bytes = self._serial = 0
        self._worth = 0.0
        self._since = time.monotonic()
        self._failed: float | None = None
        self._stop = threading.Event()
        self._flusher: threading.Thread | None = None
        self.trouble = ""
        # Evaluations taken from the file; those of them whose points differ in the last bits; damaged rows.
        self.replayed = self.inexact = self.damaged = 0
        self.position = 0
        self._connection, self._writes = self._connect()
        self.run = self._begin()
        # Numbers after the last evaluation and after the last of the descent; time at which the descent ended.
        self._end, self.descent_end, self.clock = self._ends()
        self._spare = self._answers()

    # Reading.

    @property
    def holds_more(self) -> bool:
        """Whether the file may hold evaluations that are still to come."""
        return (self.position < self._end or any(self._spare.values())) and self._connection is not None

    def take(self, k: int) -> range:
        """Numbers of the next `k` evaluations."""
        first = self.position
        self.position += k
        return range(first, self.position)

    def known(
        self, numbers: range, kind: str, points: NDArray[np.float64], seeds: NDArray[np.int64], spp: int | None
    ) -> list[Evaluation | None]:
        """Evaluation in the file for each row; None for rows that have to be evaluated."""
        found: list[Evaluation | None] = [None] * len(points)
        for item in self._rows(numbers.start, numbers.stop):
            i = item.number - numbers.start
            if item.kind != kind or item.seed != seeds[i] or item.spp != spp or item.x.shape != points[i].shape:
                continue
            exact = np.array_equal(item.x, points[i])
            if exact or (found[i] is None and self._is_same(item.x, points[i])):
                found[i] = item
        for i, hit in enumerate(found):
            key = _key(kind, points[i], seeds[i], spp)
            found[i] = self._unused(key) if hit is None else self._used(key, hit)
        taken = [(item, x) for item, x in zip(found, points, strict=True) if item is not None]
        self.replayed += len(taken)
        self.inexact += sum(not np.array_equal(item.x, x) for item, x in taken)
        return found

    def _unused(self, key: _Key) -> Evaluation | None:
        """An evaluation of an earlier answer that is needed again, or None."""
        spare = self._spare.get(key)
        return spare.pop(0) if spare else None

    def _used(self, key: _Key, item: Evaluation) -> Evaluation:
        """Mark an evaluation as used, so that none is given twice."""
        if (spare := self._spare.get(key)) and item.purpose == "answer":
            self._spare[key] = [other for other in spare if other.number != item.number]
        return item

    def _answers(self) -> dict[_Key, list[Evaluation]]:
        """Evaluations for earlier answers of this run, whose descent may continue."""
        found: dict[_Key, list[Evaluation]] = {}
        for item in self._rows(0, self._end, "AND purpose = 'answer'") if self._end else ():
            found.setdefault(_key(item.kind, item.x, item.seed, item.spp), []).append(item)
        return found

    def _rows(self, first: int, last: int, also: str = "") -> Iterator[Evaluation]:
        query = f"SELECT {COLUMNS} FROM evaluation WHERE run = ? AND number >= ? AND number < ? {also} ORDER BY serial"
        assert self._connection is not None
        try:
            with self._lock, errors_of(self.claim.path):
                rows = self._connection.execute(query, (self.run, first, last)).fetchall()
        except (OSError, JournalError) as error:
            self._say(f"the journal can no longer be read: {error}")
            self._end = 0
            return
        for row in rows:
            item = from_row(row)
            if item is None:
                self.damaged += 1
            else:
                yield item

    def _is_same(self, stored: NDArray[np.float64], asked: NDArray[np.float64]) -> bool:
        scale = np.maximum(np.abs(asked), self.claim.x_scale)
        return bool((np.abs(stored - asked) <= _SAME_POINT_RTOL * scale).all())

    # Writing.

    def add(self, arrived: Sequence[Arrived]) -> None:
        """Keep evaluations: committed at once, or within a second if they were cheap."""
        if os.getpid() != self._pid or not self._writes:
            return
        with self._lock:
            self._waiting += arrived
            longest = 0.0
            for item in arrived:
                longest = max(longest, item.seconds)
                self._worth += len(item.numbers) * item.seconds
                self._bytes += sum(len(data) for _, data in item.vectors if data is not None)
            now = time.monotonic()
            if longest >= _SECONDS_OF_ONE or self._worth >= _SECONDS_OF_SEVERAL or now - self._since >= _MAX_WAIT:
                self._commit(now)
            elif self._flusher is None:
                self._flusher = threading.Thread(target=self._flush_often, name="invopt-journal", daemon=True)
                self._flusher.start()

    def _flush_often(self) -> None:
        while not self._stop.wait(_MAX_WAIT):
            with self._lock:
                if self._waiting:
                    self._commit(time.monotonic())

    def _commit(self, now: float) -> None:
        """Write what waits; if the file cannot be written it waits longer."""
        self._since, self._worth = now, 0.0
        if self._connection is None or (self._failed is not None and now - self._failed < _RETRY_AFTER):
            return
        try:
            with errors_of(self.claim.path), self._transaction() as connection:
                # "OR IGNORE": Ctrl-C may come between a commit and what follows it; then the rows are written again.
                insert = f"INSERT OR IGNORE INTO evaluation VALUES ({'?, ' * 15}?)"
                rows: list[tuple[Any, ...]] = []
                for item in self._waiting:
                    rows += item.rows(self.run, self._serial + len(rows))
                connection.executemany(insert, rows)
        except (OSError, JournalError) as error:
            self._failed = now
            self._say(f"the journal cannot be written: {error}")
            if self._bytes > _MAX_BYTES_WAITING:
                # Later evaluations are of no use without earlier ones.
                self._writes = False
                self._waiting.clear()
            return
        # One statement, whose two assignments no signal separates, for the same reason.
        self._waiting, self._serial = [], self._serial + len(rows)
        self._failed, self._bytes = None, 0

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        assert connection is not None
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _say(self, trouble: str) -> None:
        """Remember what went wrong, and log the first time."""
        if not self.trouble:
            _logger.warning("invopt: %s", trouble)
        self.trouble = trouble

    # Begin and end.

    def _connect(self) -> tuple[sqlite3.Connection | None, bool]:
        try:
            return connect(self.claim.path), True
        except OSError as error:
            self._say(f"the journal cannot be written: {error}")
        try:
            return connect(self.claim.path, write=False), False
        except (OSError, JournalError):
            return None, False

    def _begin(self) -> int:
        """Take the run, or make one; returns its number, 0 for none."""
        if self._connection is None:
            return 0
        if not self._writes:
            return self.claim.run or 0
        try:
            with errors_of(self.claim.path), self._transaction() as connection:
                run = take(connection, self.claim, self._owner)
                query = "SELECT coalesce(max(serial) + 1, 0) FROM evaluation WHERE run = ?"
                self._serial = int(connection.execute(query, (run,)).fetchone()[0])
                return run
        except OSError as error:
            self._say(f"the journal cannot be written: {error}")
            self._writes = False
            return 0

    def _ends(self) -> tuple[int, int, float]:
        if self._connection is None:
            return 0, 0, 0.0
        query = (
            "SELECT coalesce(max(number) + 1, 0), coalesce(max(CASE purpose WHEN 'descent' THEN number + 1 END), 0), "
            "(SELECT coalesce(clock, 0) FROM run WHERE id = ?) FROM evaluation WHERE run = ?"
        )
        with errors_of(self.claim.path):
            last, descent, clock = self._connection.execute(query, (self.run, self.run)).fetchone()
        try:
            return int(last), int(descent), float(clock or 0.0)
        except (TypeError, ValueError) as error:
            raise JournalError(f"{str(self.claim.path)!r} is damaged: run {self.run} cannot be read: {error}") from None

    def close(self, summary: dict[str, Any] | None = None, subject: str | None = None) -> None:
        """Write what waits and how the run ended, and close the file.

        Parameters
        ----------
        summary : dict, optional
            Columns of the run, such as status, message, x and fun.
        subject : str, optional
            Digest of the problem after the evaluations of the run, if they have changed it: the next run in this
            process of a function that counts its calls finds the run by this digest.
        """
        self._stop.set()
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._failed = None
            if self._writes and self._connection is not None:
                if self._waiting:
                    self._commit(time.monotonic())
                self._finish(summary or {}, subject)
            if self._connection is not None:
                self._connection.close()
                self._connection = None
        owner.release(self._owner)

    def _finish(self, summary: dict[str, Any], subject: str | None) -> None:
        try:
            with errors_of(self.claim.path), self._transaction() as connection:
                columns = {"owner": None} | summary
                setting = ", ".join(f"{name} = ?" for name in columns)
                connection.execute(f"UPDATE run SET {setting} WHERE id = ?", (*columns.values(), self.run))
                if subject is not None:
                    alias(connection, self.run, subject)
            if not self.claim.path.exists():
                self._say(f"the journal {str(self.claim.path)!r} was removed while the run wrote it")
        except (OSError, JournalError) as error:
            self._say(f"the journal cannot be written: {error}")


def _key(kind: str, x: NDArray[np.float64], seed: int, spp: int | None) -> _Key:
    return kind, x.tobytes(), int(seed), spp
