"""The file of an analysis cache: SQLite, shared by processes, never a reason to stop a run."""

import contextlib
import fcntl
import os
import sqlite3
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from absl import logging

# A transaction takes milliseconds, so this is reached only where something is very wrong.
_BUSY_SECONDS = 60.0
_MEMORY_KIB = 16 * 1024
# Twice what is stored at a time, so that most transactions find free pages.
_REMOVED_AT_ONCE = 512
# Keeps a transaction short also after the bound was lowered.
_REMOVALS_PER_WRITE = 8

# Connections of the process this one was forked from. SQLite forbids even to close them here.
_foreign_connections: list[sqlite3.Connection] = []


class CacheFile:
    """A table of keys and values in a file that any number of processes may use at a time.

    No method raises for what is wrong with the file or the disk: a warning is logged once, and the
    run goes on with what still works. A file that is damaged is renamed, with ".damaged" at its
    end, and begun anew. The folder must not be on a network file system if several machines use it.
    """

    def __init__(self, path: str, facts: str, max_bytes: int):
        """Remembers what to open, at the first use in each process.

        Args:
          path: The file; it is made where it is missing.
          facts: What all values depend on besides their keys; it is written into the file.
          max_bytes: When the file grows beyond, the oldest entries are removed.
        """
        self._path = path
        self._facts = facts
        self._max_bytes = max_bytes
        self._connection: sqlite3.Connection | None = None
        self._process = os.getpid()
        self._file_identity: tuple[int, int] | None = None
        self._readable = self._writable = True

    def read(self, keys: Sequence[bytes]) -> dict[bytes, Any]:
        """Returns the values of those keys that are there, at most some hundreds at a time.

        They are as the file has them: where it is damaged, of any type and content.
        """
        marks = ",".join("?" * len(keys))
        query = f"SELECT key, value FROM entries WHERE key IN ({marks})"
        if not self._readable:
            return {}
        try:
            return dict(self._use(lambda connection: connection.execute(query, keys).fetchall()))
        except (sqlite3.Error, OSError) as error:
            self._readable = self._writable = False
            logging.warning(
                "The cache of analyses %s cannot be read (%s); going on without it.",
                self._path,
                error,
            )
            return {}

    def write(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        """Stores keys and values in one transaction; what had one of the keys is replaced."""
        if not self._writable:
            return
        try:
            self._use(lambda connection: self._store(connection, entries))
        except (sqlite3.Error, OSError) as error:
            self._writable = False
            logging.warning(
                "The cache of analyses %s cannot be written (%s); going on without storing. Free "
                "some space, or give another folder.",
                self._path,
                error,
            )

    def close(self) -> None:
        """Closes the file."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._process != os.getpid():
            _foreign_connections.append(connection)
            return
        with contextlib.suppress(sqlite3.Error):
            connection.close()

    def _use(self, action: Callable[[sqlite3.Connection], Any]) -> Any:
        try:
            return action(self._connected())
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
            self._set_aside(error)
        return action(self._connected())

    def _store(
        self, connection: sqlite3.Connection, entries: Sequence[tuple[bytes, bytes]]
    ) -> None:
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT OR REPLACE INTO entries (key, value) VALUES (?, ?)", entries
            )
            max_pages = self._max_bytes // _pragma(connection, "page_size")
            self._make_room(connection, max_pages)
        if (excess := _pragma(connection, "page_count") - max_pages) > 0:
            # As a script, since otherwise Python stops it after a page.
            connection.executescript(f"PRAGMA incremental_vacuum({excess})")

    @staticmethod
    def _make_room(connection: sqlite3.Connection, max_pages: int) -> None:
        for _ in range(_REMOVALS_PER_WRITE):
            used = _pragma(connection, "page_count") - _pragma(connection, "freelist_count")
            if used <= max_pages:
                return
            # Later entries have higher ids.
            removed = connection.execute(
                "DELETE FROM entries WHERE id IN (SELECT id FROM entries ORDER BY id LIMIT ?)",
                (_REMOVED_AT_ONCE,),
            )
            if removed.rowcount < 1:
                return

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None:
            ours = self._process == os.getpid() and self._file_identity == _identity_of(self._path)
            if ours:
                return self._connection
            self.close()
        self._process = os.getpid()
        with self._lock():
            try:
                self._connection = self._open()
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._rename(error)
                self._connection = self._open()
            self._file_identity = _identity_of(self._path)
        return self._connection

    def _open(self) -> sqlite3.Connection:
        try:
            return self._open_for_writing()
        except sqlite3.OperationalError as error:
            refused = error
        address = f"file:{urllib.parse.quote(os.path.abspath(self._path))}?mode=ro"
        # The last for file systems on which nobody can write, so that SQLite cannot even lock.
        for uri in (address, f"{address}&immutable=1"):
            with contextlib.suppress(sqlite3.OperationalError):
                connection = self._checked(self._connect(uri))
                if self._writable:
                    self._writable = False
                    logging.warning(
                        "The cache of analyses %s can only be read (%s); going on without storing.",
                        self._path,
                        refused,
                    )
                return connection
        raise refused

    def _open_for_writing(self) -> sqlite3.Connection:
        connection = self._connect(f"file:{urllib.parse.quote(os.path.abspath(self._path))}")
        try:
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                with connection:
                    connection.execute("BEGIN IMMEDIATE")
                    connection.execute("CREATE TABLE facts (content TEXT NOT NULL)")
                    connection.execute("INSERT INTO facts VALUES (?)", (self._facts,))
                    connection.execute(
                        "CREATE TABLE entries (id INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, "
                        "value BLOB NOT NULL)"
                    )
        except BaseException:
            connection.close()
            raise
        return self._checked(connection)

    def _connect(self, uri: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            uri,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            # Texts may be read ahead in a thread, one call at a time.
            check_same_thread=False,
            uri=True,
        )
        # Damaged text would raise as if the disk had failed.
        connection.text_factory = bytes
        connection.execute(f"PRAGMA cache_size=-{_MEMORY_KIB}")
        return connection

    def _checked(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        try:
            facts = connection.execute("SELECT content FROM facts").fetchone()
            if facts != (self._facts.encode(),):
                raise sqlite3.DatabaseError("it belongs to another analyser or other options")
            return connection
        except BaseException:
            connection.close()
            raise

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        self.close()
        with self._lock():
            # Otherwise another process was the first to rename it.
            if self._file_identity == _identity_of(self._path):
                self._rename(error)

    def _rename(self, error: sqlite3.DatabaseError) -> None:
        """Makes way for a new file. Others that have this one open keep it until they look."""
        damaged = f"{self._path}.damaged"
        os.replace(self._path, damaged)
        # A new file must not find the log of the old one.
        for ending in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.remove(self._path + ending)
        logging.warning(
            "The cache of analyses %s is damaged (%s); it is called %s now, and a new one begun.",
            self._path,
            error,
            damaged,
        )

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """Keeps one process from opening a file that another is about to rename."""
        with contextlib.ExitStack() as stack:
            # A folder that cannot be written has nothing that could be renamed either.
            with contextlib.suppress(OSError):
                file = stack.enter_context(open(f"{self._path}.lock", "ab"))
                fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    # SQLite's "malformed" and "not a database"; subclasses stand for everything else.
    return type(error) is sqlite3.DatabaseError


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return connection.execute(f"PRAGMA {name}").fetchone()[0]


def _identity_of(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
