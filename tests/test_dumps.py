"""Dumps of real databases: everything in them comes back, under any name, and what cannot be loaded says so."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import dumps
from pytest_envdr.errors import EnvdrError
from pytest_envdr.mariadb import Server, quoted
from pytest_envdr.sandbox.data_plane.mariadb import MariaDB, master_user
from pytest_envdr.sandbox.data_plane.mariadb_template import lay_out
from pytest_envdr.sandbox.envelope import database
from pytest_envdr.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST, USER, PASSWORD = "127.13.1.10", "envelope", "it's a \\ \"secret"
ACME = "tenant_acme"
OBJECTS = {
    "tables": "SELECT table_name, table_type, table_collation FROM information_schema.tables WHERE table_schema = %s",
    "triggers": "SELECT trigger_name, action_statement FROM information_schema.triggers WHERE trigger_schema = %s",
    "events": "SELECT event_name, event_definition, status FROM information_schema.events WHERE event_schema = %s",
    "routines": "SELECT routine_name, routine_definition FROM information_schema.routines WHERE routine_schema = %s",
    "keys": "SELECT constraint_name, table_name FROM information_schema.table_constraints WHERE table_schema = %s",
}


PLACE = Server(HOST, 3306, USER, PASSWORD)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """The stack's databases with two tenants."""
    data = tmp_path_factory.mktemp("mariadb") / "data"
    lay_out(database.content(2), data, cache=None, address=HOST)
    server = MariaDB(data, address=HOST)
    server.start(master_user(USER, PASSWORD))
    server.wait_until_ready(deadline=30)
    yield server
    server.stop()


def asked(server: MariaDB, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """What the server answers."""
    with server.connect(USER, PASSWORD, timeout=10) as connection, connection.cursor() as cursor:
        cursor.execute(query, values or None)
        return sorted(cursor.fetchall(), key=repr)


def content(server: MariaDB, name: str) -> dict[str, Any]:
    """Every row and every object of a database."""
    found: dict[str, Any] = {kind: asked(server, query, name) for kind, query in OBJECTS.items()}
    for table, _, _ in found["tables"]:
        found[table] = asked(server, f"SELECT * FROM {quoted(name)}.{quoted(table)}")  # noqa: S608 (names of the test's own)
    return found


@pytest.mark.parametrize(
    "name", ["tenant_acme_envdr_0a1b2c", "t\u00e9nant `quoted` - \u5c01\u7b52", "x" * 64, "--help"]
)
def test_all_of_it_comes_back_under_any_name(server: MariaDB, tmp_path: Path, name: str) -> None:
    """Rows of every type, views, triggers, routines and events of a copy are those of the database that was dumped."""
    dumped = dumps.dump(PLACE, ACME, tmp_path / "acme.sql")
    dumps.load(PLACE, dumped, name)
    try:
        there, here = content(server, ACME), content(server, name)
        assert len(there["triggers"]) == len(there["events"]) == 1
        assert len(there["routines"]) == 2
        assert here == there
        assert "mariadb" in dumped.client.lower()
    finally:
        asked(server, f"DROP DATABASE {quoted(name)}")


@pytest.mark.parametrize("name", ['o\'brien-b\u00fcro \\ "\u5c01"'.ljust(64, "x"), "x" * 64, "`"])
def test_a_database_of_any_name_is_dumped(server: MariaDB, tmp_path: Path, name: str) -> None:
    """A quote, a backslash, 64 characters, Unicode: all of it is in the dump, events too."""
    dumps.load(PLACE, dumps.dump(PLACE, ACME, tmp_path / "acme.sql"), name)
    try:
        before = content(server, name)
        dumped = dumps.dump(PLACE, name, tmp_path / "odd.sql")
        dumps.load(PLACE, dumped, name)
        assert content(server, name) == before == content(server, ACME)
        assert before["events"]
    finally:
        asked(server, f"DROP DATABASE {quoted(name)}")


def test_what_was_there_is_replaced(server: MariaDB, tmp_path: Path) -> None:
    """A damaged database is, after the load, what the dump holds: a lost table is back, a new one is gone."""
    before = content(server, "tenant_globex")
    dumped = dumps.dump(PLACE, "tenant_globex", tmp_path / "globex.sql")
    asked(server, "DELETE FROM tenant_globex.payments")
    asked(server, "DROP TABLE tenant_globex.messages")
    asked(server, "CREATE TABLE tenant_globex.stray (id INT PRIMARY KEY)")
    dumps.load(PLACE, dumped, "tenant_globex")
    assert content(server, "tenant_globex") == before


def test_objects_of_another_become_those_of_who_loads(server: MariaDB, tmp_path: Path) -> None:
    """On RDS nobody may create an object in another's name; rows that look like it are left as they are."""
    text = "x' DEFINER=`root`@`localhost`\nCREATE DEFINER=`root`@`localhost` TRIGGER"
    asked(server, "CREATE DATABASE foreign_owner")
    try:
        asked(server, "CREATE TABLE foreign_owner.t (id INT PRIMARY KEY, body TEXT)")
        asked(server, "INSERT INTO foreign_owner.t VALUES (1, %s)", text)
        server.execute(
            ["CREATE DEFINER=`rdsadmin`@`%` VIEW foreign_owner.v AS SELECT id FROM foreign_owner.t"], timeout=10
        )
        dumped = dumps.dump(PLACE, "foreign_owner", tmp_path / "foreign.sql")
        dumps.load(PLACE, dumped, "foreign_copy")
        views = asked(server, "SELECT definer FROM information_schema.views WHERE table_schema = 'foreign_copy'")
        assert views == [(f"{USER}@%",)]
        assert asked(server, "SELECT body FROM foreign_copy.t") == [(text,)]
    finally:
        for name in ("foreign_owner", "foreign_copy"):
            asked(server, f"DROP DATABASE IF EXISTS {name}")


@pytest.mark.parametrize(
    ("line", "loaded"),
    [
        (rb"/*M!999999\- enable the sandbox mode */ ", b" "),
        (b"INSERT INTO `t` VALUES (999999);", b"INSERT INTO `t` VALUES (999999);"),
        (b"/*!50003 CREATE*/ /*!50017 DEFINER=`x``y`@`%`*/", b"/*!50003 CREATE*/ /*!50017 DEFINER=CURRENT_USER*/"),
        (b"CREATE DEFINER=`me`@`%` PROCEDURE p()", b"CREATE DEFINER=`me`@`%` PROCEDURE p()"),
    ],
)
def test_lines(line: bytes, loaded: bytes) -> None:
    """Only what no client understands, and definers of objects, are rewritten."""
    assert dumps.rewritten(line, "me") == loaded


def test_what_cannot_be_done_says_why(server: MariaDB, tmp_path: Path) -> None:
    """No such database, a wrong password, a file that changed, a file that is gone."""
    assert server.pid
    with pytest.raises(EnvdrError, match=r"nowhere could not be dumped.*(?s:.*)nowhere"):
        dumps.dump(PLACE, "nowhere", tmp_path / "nowhere.sql")
    with pytest.raises(EnvdrError, match="Access denied"):
        dumps.dump(dataclasses.replace(PLACE, password="wrong"), ACME, tmp_path / "denied.sql")  # noqa: S106 (it is wrong on purpose)
    dumped = dumps.dump(PLACE, ACME, tmp_path / "acme.sql")
    dumped.path.write_bytes(dumped.path.read_bytes().replace(b"Zo", b"Xo", 1))
    with pytest.raises(EnvdrError, match="is not what was written"):
        dumps.load(PLACE, dumped, "never")
    with pytest.raises(EnvdrError, match="cannot be read"):
        dumps.load(PLACE, dataclasses.replace(dumped, path=tmp_path / "gone.sql"), "never")
    assert ("never",) not in asked(server, "SHOW DATABASES")


def test_a_load_ends_with_who_feeds_it(server: MariaDB, tmp_path: Path) -> None:
    """A drill that is killed takes its client with it: an undo must not meet a load that still goes on."""
    path = tmp_path / "slow.sql"
    path.write_text(f"DO SLEEP(0.1); -- {'x' * 4000}\n" * 600)
    create = "CREATE DATABASE {}"
    feeding = (
        "from pathlib import Path; from pytest_envdr import dumps; from pytest_envdr.mariadb import Server;"
        f"dumped = dumps.Dump(Path({str(path)!r}), 'slow', {dumps.sha256(path)!r}, {create!r}, '');"
        f"dumps.load(Server({HOST!r}, 3306, {USER!r}, {PASSWORD!r}), dumped, 'slow')"
    )
    sleeping = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'DO SLEEP%%'"
    with subprocess.Popen([sys.executable, "-c", feeding]) as process:
        wait_until(lambda: asked(server, sleeping), lambda found: found == [(1,)], what="the load", deadline=30)
        process.kill()
    wait_until(
        lambda: asked(server, "SELECT COUNT(*) FROM information_schema.processlist WHERE db = 'slow'"),
        lambda found: found == [(0,)],
        what="the client's end",
        deadline=30,
        longest_interval=0.2,
    )
    asked(server, "DROP DATABASE slow")
