"""Connections as a drill makes them, to a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymysql
import pytest

from pytest_envdr import mariadb
from pytest_envdr.mariadb import Server
from pytest_envdr.sandbox.data_plane.mariadb import MariaDB, master_user
from pytest_envdr.sandbox.data_plane.mariadb_template import EMPTY, lay_out

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = "127.39.7.10"
PASSWORD = "correct 'horse' ü"  # noqa: S105 (an example's)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a user."""
    data = tmp_path_factory.mktemp("mariadb") / "data"
    lay_out(EMPTY, data, cache=None, address=ADDRESS)
    running = MariaDB(data, address=ADDRESS)
    running.start(master_user("owner", PASSWORD))
    running.wait_until_ready(deadline=60)
    yield Server(ADDRESS, 3306, "owner", PASSWORD)
    running.stop()


def test_a_session_is_in_utc(server: Server) -> None:
    """Times are UTC, texts any, and each statement is committed."""
    with mariadb.session(server) as cursor:
        cursor.execute("SELECT @@time_zone, '封筒 💌', @@autocommit")
        assert cursor.fetchone() == ("+00:00", "封筒 💌", 1)


def test_names_of_any_kind(server: Server) -> None:
    """A quote, a dash, a backtick, Unicode, 64 characters: taken as they are."""
    for name in ("O'Brien", "a-b", "tick`tock", "Grüße 封筒", "x" * 64):
        with mariadb.session(server) as cursor:
            cursor.execute(f"CREATE DATABASE {mariadb.quoted(name)}")
        with mariadb.session(server, database=name) as cursor:
            cursor.execute("SELECT DATABASE()")
            assert cursor.fetchone() == (name,)


def test_a_server_says_who_it_is(server: Server) -> None:
    """Server id, host name and port: what the application is asked for too."""
    with mariadb.session(server) as cursor:
        number, _, where = mariadb.identity(cursor).partition("@")
    assert number == "1"
    assert where.endswith(":3306")


def test_another_password_is_told_from_a_network(server: Server) -> None:
    """1045 where the password is not taken; a reason in words where nobody listens, and none where somebody does."""
    with pytest.raises(pymysql.OperationalError) as caught:
        mariadb.connect(Server(server.host, server.port, "owner", "another"))
    assert caught.value.args[0] == mariadb.DENIED
    assert mariadb.unreachable(server) == ""
    assert "ConnectionRefusedError" in mariadb.unreachable(Server("127.39.7.11", 3306, "owner", ""), seconds=1)


def test_a_password_shows_in_no_text() -> None:
    """Neither in what prints a server nor in its name."""
    server = Server("db", 3306, "owner", PASSWORD)
    assert PASSWORD not in f"{server!r} {server}"
