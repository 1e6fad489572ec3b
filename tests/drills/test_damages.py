"""Damages on a real database: each is what its words say, to every row, whatever the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.drills.damages import DAMAGES, Damage, plan
from pytest_envdr.errors import Refused
from pytest_envdr.sandbox.data_plane.mariadb import MariaDB, master_user
from pytest_envdr.sandbox.data_plane.mariadb_template import EMPTY, lay_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymysql.cursors import Cursor

HOST, USER, PASSWORD = "127.11.2.10", "envelope", "secret"
NAME = "o'brien `and` co"
FILLING = (
    "CREATE TABLE busy (id INT PRIMARY KEY, body TEXT)",
    "INSERT INTO busy SELECT seq, 'x' FROM seq_1_to_50",
    "CREATE TABLE parents (id INT PRIMARY KEY, name VARCHAR(20) UNIQUE, score INT NULL)",
    "INSERT INTO parents SELECT seq, CONCAT('p', seq), IF(seq = 3, NULL, seq - 1) FROM seq_1_to_9",
    "CREATE TABLE children (id INT PRIMARY KEY, parent_id INT, FOREIGN KEY (parent_id) REFERENCES parents (id))",
    "INSERT INTO children SELECT seq, seq FROM seq_1_to_5",
    "CREATE VIEW seen AS SELECT id FROM parents",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """A server without databases."""
    data = tmp_path_factory.mktemp("mariadb") / "data"
    lay_out(EMPTY, data, cache=None, address=HOST)
    server = MariaDB(data, address=HOST)
    server.start(master_user(USER, PASSWORD))
    server.wait_until_ready(deadline=30)
    yield server
    server.stop()


@pytest.fixture
def cursor(server: MariaDB) -> Iterator[Cursor]:
    """A cursor in a database with keys, a view, and a table that others write to."""
    quoted = NAME.replace("`", "``")
    with server.connect(USER, PASSWORD, timeout=10) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS `{quoted}`")
        cursor.execute(f"CREATE DATABASE `{quoted}`")
        cursor.execute(f"USE `{quoted}`")
        for statement in FILLING:
            cursor.execute(statement)
        yield cursor


def rows(cursor: Cursor, query: str) -> list[Any]:
    """What the server answers."""
    cursor.execute(query)
    return list(cursor.fetchall())


def done(cursor: Cursor, damage: Damage) -> str:
    """The damage, done; in words."""
    planned = plan(cursor, NAME, damage, spared={"busy"})
    for statement in planned.statements:
        cursor.execute(statement)
    return planned.words


def test_deleted(cursor: Cursor) -> None:
    """The fullest table that is not spared is empty, though others refer to it; nothing else is."""
    assert done(cursor, "rows deleted") == "all 9 rows of parents deleted"
    assert rows(cursor, "SELECT COUNT(*) FROM parents UNION ALL SELECT COUNT(*) FROM children") == [(0,), (5,)]
    assert rows(cursor, "SELECT COUNT(*) FROM busy") == [(50,)]


def test_overwritten(cursor: Cursor) -> None:
    """Every row has another value, one that was NULL or 0 too, and no key is hurt."""
    before = dict(rows(cursor, "SELECT id, score FROM parents"))
    assert done(cursor, "rows overwritten") == "score of all 9 rows of parents overwritten"
    after = dict(rows(cursor, "SELECT id, score FROM parents"))
    assert before.keys() == after.keys()
    assert all(after[key] != before[key] for key in before)


def test_dropped(cursor: Cursor) -> None:
    """A table is gone though others refer to it; the whole database is gone."""
    assert done(cursor, "table dropped") == "table parents with 9 rows dropped"
    assert ("parents",) not in rows(cursor, "SHOW TABLES")
    assert done(cursor, "database dropped") == f"database {NAME} dropped"
    assert (NAME,) not in rows(cursor, "SHOW DATABASES")


@pytest.mark.parametrize("damage", [damage for damage in DAMAGES if damage != "database dropped"])
def test_nothing_to_damage(cursor: Cursor, damage: Damage) -> None:
    """Without rows that could be damaged the drill is refused, and nothing is planned."""
    with pytest.raises(Refused, match="no rows in o'brien"):
        plan(cursor, NAME, damage, spared={"busy", "parents", "children"})
