"""MariaDB: connections as a drill makes them."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pymysql

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymysql.connections import Connection
    from pymysql.cursors import Cursor

__all__ = ["DENIED", "Server", "connect", "identity", "quoted", "session", "unreachable"]

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 300.0
"""How long a statement may take: a full scan of a cold copy loads it from S3."""
DENIED = 1045
"""MariaDB's number for a user or password that it does not take."""


@dataclass(frozen=True)
class Server:
    """Where a server listens, and as whom to log in. The password shows in no text."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def connect(server: Server, *, database: str | None = None, seconds: float = ANSWER_SECONDS) -> Connection[Cursor]:
    """A connection in UTC that commits each statement; encrypted where the server can, but on this machine itself.

    Args:
        server: where, and as whom.
        database: the default database.
        seconds: how long a statement may take.

    Raises:
        pymysql.OperationalError: 1045 where the password is not taken, 2003 where nobody listens, and others.
    """
    return pymysql.connect(
        host=server.host,
        port=server.port,
        user=server.user,
        # As bytes: PyMySQL would take Latin-1 for its characters.
        password=server.password.encode(),
        database=database,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=seconds,
        write_timeout=seconds,
        init_command="SET time_zone = '+00:00'",
        ssl_disabled=_is_loopback(server.host),
    )


@contextmanager
def session(server: Server, *, database: str | None = None, seconds: float = ANSWER_SECONDS) -> Iterator[Cursor]:
    """A cursor of a connection that ends with the block. Raises as `connect`."""
    with connect(server, database=database, seconds=seconds) as connection, connection.cursor() as cursor:
        yield cursor


def quoted(name: str) -> str:
    """A name of a database, table or column, as SQL takes it whatever is in it."""
    return f"`{name.replace('`', '``')}`"


def identity(cursor: Cursor) -> str:
    """Which server answers: RDS gives each instance a server id and a host name of its own, a restored one too."""
    cursor.execute("SELECT CONCAT(@@server_id, '@', @@hostname, ':', @@port)")
    row = cursor.fetchone()
    return str(row[0]) if row else ""


def unreachable(server: Server, *, seconds: float = CONNECT_SECONDS) -> str:
    """Why no TCP connection can be made, or "": tells a wrong network from a failed restore (aws-semantics 1, T5)."""
    try:
        socket.create_connection((server.host, server.port), timeout=seconds).close()
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _is_loopback(host: str) -> bool:
    """Reading the machine's certificates takes 35 ms a connection, for nothing where no network is between."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
