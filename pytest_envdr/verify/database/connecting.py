"""Connections to one server: opened when needed, lent to one unit of work at a time, in a session that prints alike
everywhere."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pymysql.connections import Connection

    Connect: TypeAlias = Callable[[], Connection[Any]]

Row: TypeAlias = tuple[Any, ...]

SESSION = (
    "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
    # A TIMESTAMP is printed in the session's time zone; CHAR, quotes and names are printed by the SQL mode.
    "SET SESSION time_zone = '+00:00', sql_mode = '', sql_quote_show_create = 1",
)
"""What makes two servers print the same value alike, however each is set up."""


class Connections:
    """The idle connections of one server. As they are opened by `connect`, as many as units run at a time.

    May be sent to another process where `connect` may be: the connections stay behind.
    """

    def __init__(self, connect: Connect) -> None:
        self.connect = connect
        self._idle: list[Connection[Any]] = []
        self._closed = False
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Connections], tuple[Connect]]:
        return Connections, (self.connect,)

    @contextmanager
    def lent(self) -> Iterator[Session]:
        """A session for the time of the block. One in which something went wrong is not used again."""
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = _prepared(self.connect)
        try:
            yield Session(connection)
        except BaseException:
            _close(connection)
            raise
        with self._lock:
            kept = not self._closed
            self._idle += [connection] if kept else []
        if not kept:
            _close(connection)

    def close(self) -> None:
        """Close those that are idle now, and the others as they come back."""
        with self._lock:
            idle, self._idle, self._closed = self._idle, [], True
        for connection in idle:
            _close(connection)


class Session:
    """A prepared connection: statements in, rows out."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection

    def rows(self, statement: str) -> list[Row]:
        """The rows of one statement.

        Raises:
            pymysql.MySQLError: what the server answers, or that the connection is gone.
        """
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def results(self, statements: Iterable[str]) -> list[list[Row]]:
        """The rows of several statements in one round trip. The first that fails ends it.

        Raises:
            pymysql.MySQLError: as for `rows`.
        """
        found = []
        with self._connection.cursor() as cursor:
            cursor.execute(f"BEGIN NOT ATOMIC {'; '.join(statements)}; END")
            while cursor.description is not None:
                found.append(list(cursor.fetchall()))
                if not cursor.nextset():
                    break
        return found


def _prepared(connect: Connect) -> Connection[Any]:
    import pymysql  # noqa: PLC0415 (a run that verifies no database does not load it)
    from pymysql.cursors import Cursor  # noqa: PLC0415

    connection = connect()
    try:
        connection.cursorclass = Cursor
        connection.autocommit(value=True)
        connection.set_character_set("utf8mb4", "utf8mb4_bin")
        with connection.cursor() as cursor:
            for statement in SESSION:
                cursor.execute(statement)
    except pymysql.MySQLError:
        _close(connection)
        raise
    return connection


def _close(connection: Connection[Any]) -> None:
    if connection.open:
        connection.close()


def name(identifier: str) -> str:
    """An identifier, quoted."""
    return "`" + identifier.replace("`", "``") + "`"


def literal(text: str) -> str:
    """A text, quoted, whatever is in it."""
    return f"CONVERT(0x{text.encode().hex()} USING utf8mb4)" if text else "''"
