"""Tables of a journal; opens and checks its file."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from invopt.exceptions import JournalError

__all__ = ["VERSION", "EmptyJournalError", "check_kind", "connect", "errors_of"]

# "invj" as a number: distinguishes journals from other SQLite files.
_APPLICATION = 0x696E766A
VERSION = 1
# First bytes of any SQLite database (sqlite.org/fileformat.html, section 1.3).
_SQLITE_HEADER = b"SQLite format 3\0"
# Seconds to wait for the lock of another process; a commit takes milliseconds.
_LOCK_TIMEOUT = 3.0

# Beginnings of SQLite's messages for an intact database with other tables.
_FOREIGN = ("no such", "table ", "near ")

_TABLES = """
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    owner TEXT,                -- process that writes it, NULL when none does
    created REAL NOT NULL,     -- seconds since 1970
    parts TEXT NOT NULL,       -- digests of what the run is made of, by name, as JSON
    rng TEXT NOT NULL,         -- state of the generator at the start, as JSON
    choice_maxfev REAL,        -- budget that estimator and method were chosen for, NULL for none
    problem TEXT NOT NULL,     -- for readers
    estimator TEXT NOT NULL,
    method TEXT NOT NULL,
    names TEXT NOT NULL,       -- of the parameters, as JSON
    environment TEXT NOT NULL, -- versions and machine, as JSON
    replayable INTEGER NOT NULL DEFAULT 1,
    status TEXT,               -- as of the last end, NULL before
    message TEXT,
    x BLOB,
    fun REAL,
    fun_standard_error REAL,
    nfev INTEGER,
    seconds REAL,
    clock REAL                 -- seconds of the descent, before its answer was measured
);
CREATE TABLE subject (         -- digests by which a run is found: of its problem, start, bounds and scales
    digest TEXT NOT NULL,
    run INTEGER NOT NULL REFERENCES run(id),
    PRIMARY KEY (digest, run)
) WITHOUT ROWID;
CREATE TABLE evaluation (
    run INTEGER NOT NULL REFERENCES run(id),
    serial INTEGER NOT NULL,   -- in the order of writing
    number INTEGER NOT NULL,   -- in the order in which the method asked
    purpose TEXT NOT NULL,     -- "descent", or "answer" for the measurement at the end
    kind TEXT NOT NULL,        -- "fun", "residuals", "constrained", "derivative" or "hessian"
    x BLOB NOT NULL,           -- float64
    seed INTEGER NOT NULL,
    spp INTEGER,
    value REAL,                -- NULL for nan
    coding TEXT,               -- of data: its dtype, how it is stored
    data BLOB,                 -- residuals, derivative or Hessian
    failure TEXT,
    seconds REAL NOT NULL,     -- that the evaluation took
    clock REAL NOT NULL,       -- seconds since the run began
    worker TEXT NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (run, number, serial)
);
"""


class EmptyJournalError(JournalError):
    """A file is empty, and no journal yet."""


def check_kind(path: Path) -> None:
    """Refuse a path that is no journal and cannot become one.

    A path that cannot be read is left to `connect`.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise JournalError(f"'journal' must be a file, and {str(path)!r} is a folder")
        if not stat.S_ISREG(mode):
            raise JournalError(f"'journal' must be a regular file, and {str(path)!r} is not one")
        with path.open("rb") as file:
            start = file.read(len(_SQLITE_HEADER))
    except OSError:
        return
    if start and start != _SQLITE_HEADER:
        raise JournalError(
            f"{str(path)!r} is no journal of invopt: give 'journal' another path; a file that 'checkpoint' of an "
            f"earlier version wrote is no journal either"
        )


def connect(path: Path, *, write: bool = True) -> sqlite3.Connection:
    """Open a journal; with `write`, make one if there is none.

    Raises
    ------
    JournalError
        If the file is no journal, of a newer version, damaged or locked.
    OSError
        If the file cannot be made, read or written.
    """
    check_kind(path)
    if write:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not path.exists():
        raise JournalError(f"there is no journal {str(path)!r}")
    if write:
        return _opened(path, "mode=rwc", write=True)
    # A connection that could write removes the log when it closes. "immutable" is for folders that cannot be written,
    # in which there can be no log.
    for mode in ("mode=rw", "mode=ro", "mode=ro&immutable=1"):
        with contextlib.suppress(OSError):
            return _opened(path, mode, write=False)
    raise OSError(f"{str(path)!r} cannot be read")


def _opened(path: Path, mode: str, *, write: bool) -> sqlite3.Connection:
    with errors_of(path):
        connection = sqlite3.connect(
            f"file:{_quoted(path)}?{mode}",
            uri=True,
            timeout=_LOCK_TIMEOUT,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            _check(connection, path, write=write)
        except BaseException:
            connection.close()
            raise
    return connection


def _quoted(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _check(connection: sqlite3.Connection, path: Path, *, write: bool) -> None:
    # In one transaction, because another process may be making the tables.
    connection.execute("BEGIN")
    names = ("application_id", "user_version")
    application, version = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
    empty = not connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    connection.execute("COMMIT")
    if (application, version) == (0, 0) and empty:
        if not write:
            raise EmptyJournalError(f"{str(path)!r} is an empty file, not a journal yet")
        _create(connection)
        return
    if application != _APPLICATION:
        raise JournalError(f"{str(path)!r} is a database of another program, not a journal of invopt")
    if version > VERSION:
        raise JournalError(
            f"{str(path)!r} was written by a newer invopt: it has version {version}, and this invopt reads {VERSION}"
        )
    if write:
        _settings(connection)
        # Takes the lock of a writer once, so that a file that cannot be written is noticed at the start.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")


def _create(connection: sqlite3.Connection) -> None:
    _settings(connection)
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have made them meanwhile.
        if not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            for statement in _TABLES.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _settings(connection: sqlite3.Connection) -> None:
    # Write-ahead log: readers never wait. Commits survive the death of the process, not a loss of power.
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")


@contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into `JournalError`.

    They become `OSError` if the file cannot be read or written.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "locked" in text or "busy" in text:
            raise JournalError(f"{str(path)!r} is locked by another program: {text}") from None
        if text.startswith(_FOREIGN):
            raise JournalError(f"{str(path)!r} is damaged: {text}") from None
        raise OSError(f"{str(path)!r} cannot be written or read: {text}") from None
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise JournalError(f"{str(path)!r} is damaged or no journal: {error}") from None
