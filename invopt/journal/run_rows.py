"""Rows of runs in a journal: taken to be continued, or made."""

from __future__ import annotations

import sqlite3
import time

from invopt.journal import owner
from invopt.journal.claim import Claim

__all__ = ["alias", "take"]


def take(connection: sqlite3.Connection, claim: Claim, own: str) -> int:
    """Take the claimed run, or make a new one if another process has it.

    Returns its number.
    """
    if claim.run is not None:
        holder = connection.execute("SELECT owner FROM run WHERE id = ?", (claim.run,)).fetchone()
        if holder is not None and not owner.is_alive(holder[0]):
            connection.execute("UPDATE run SET owner = ? WHERE id = ?", (own, claim.run))
            return claim.run
    columns = {"owner": own, "created": time.time()} | claim.described()
    marks = ", ".join("?" * len(columns))
    insert = f"INSERT INTO run ({', '.join(columns)}) VALUES ({marks})"
    run = connection.execute(insert, tuple(columns.values())).lastrowid
    assert run is not None
    alias(connection, run, claim.subject)
    return run


def alias(connection: sqlite3.Connection, run: int, subject: str) -> None:
    """Note another digest of the problem by which a run is found."""
    connection.execute("INSERT OR IGNORE INTO subject VALUES (?, ?)", (subject, run))
