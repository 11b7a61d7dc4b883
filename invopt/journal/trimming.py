"""Trims a journal to a size: residuals of the oldest runs are dropped."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from invopt.journal import owner
from invopt.journal.reader import Journal
from invopt.journal.rows import COLUMNS, changed, from_row
from invopt.journal.schema import connect, errors_of

__all__ = ["trim"]


def trim(journal: Journal) -> int:
    """Drop residuals until the file is below its `max_bytes`.

    Returns the number of trimmed runs.
    """
    dropped = 0
    with closing(connect(journal.path)) as connection, errors_of(journal.path):
        while _size(connection) > journal.max_bytes and (run := _oldest(connection)) is not None:
            _drop(connection, run)
            dropped += 1
    return dropped


def _size(connection: sqlite3.Connection) -> int:
    """Bytes in use, without the free pages of deleted rows."""
    pages, free, size = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def _oldest(connection: sqlite3.Connection) -> int | None:
    """Oldest run that has ended and still has residuals.

    Never the newest, which may be continued.
    """
    query = (
        "SELECT id, owner FROM run WHERE replayable AND status IS NOT NULL AND id < (SELECT max(id) FROM run) "
        "AND EXISTS (SELECT 1 FROM evaluation WHERE evaluation.run = run.id AND kind = 'residuals') ORDER BY id"
    )
    return next((int(run) for run, name in connection.execute(query) if not owner.is_alive(name)), None)


def _drop(connection: sqlite3.Connection, run: int) -> None:
    query = f"SELECT {COLUMNS} FROM evaluation WHERE run = ? AND kind = 'residuals'"
    replace = f"INSERT OR REPLACE INTO evaluation VALUES ({'?, ' * 15}?)"
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("UPDATE run SET replayable = 0 WHERE id = ?", (run,))
        for row in connection.execute(query, (run,)).fetchall():
            if from_row(row) is not None:
                connection.execute(replace, changed(row, coding=None, data=None))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
