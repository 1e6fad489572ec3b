"""MariaDB as a real part: filled in a moment, side by side with others, true to what it acknowledged."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from pytest_envdr.errors import PartFailed
from pytest_envdr.sandbox.data_plane.mariadb import MariaDB, create_database, master_user, version
from pytest_envdr.sandbox.data_plane.mariadb_template import EMPTY, lay_out
from pytest_envdr.sandbox.envelope import database
from pytest_envdr.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER, PASSWORD = "envelope", "it's a \\ secret"
TENANTS = 3
SECONDS = 30.0
KINDS = {
    "triggers": "SELECT COUNT(*) FROM information_schema.triggers WHERE trigger_schema = %s",
    "events": "SELECT COUNT(*) FROM information_schema.events WHERE event_schema = %s",
    "routines": "SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = %s",
    "views": "SELECT COUNT(*) FROM information_schema.views WHERE table_schema = %s",
    "foreign keys": "SELECT COUNT(*) FROM information_schema.referential_constraints WHERE constraint_schema = %s",
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[MariaDB]:
    """The stack's databases with three tenants."""
    server = _started(tmp_path_factory.mktemp("mariadb"), "127.214.64.10", cache)
    yield server
    server.stop()


def _started(directory: Path, address: str, cache: Path | None) -> MariaDB:
    lay_out(database.content(TENANTS), directory / "data", cache=cache, address=address)
    server = MariaDB(directory / "data", address=address)
    server.start(master_user(USER, PASSWORD))
    server.wait_until_ready(deadline=SECONDS)
    return server


def _rows(server: MariaDB, query: str, *values: Any, schema: str | None = None) -> list[tuple[Any, ...]]:
    with server.connect(USER, PASSWORD, timeout=5, database=schema) as connection, connection.cursor() as cursor:
        cursor.execute(query, values or None)
        return list(cursor.fetchall())


def _tables(server: MariaDB, schema: str) -> list[str]:
    query = "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_type = 'BASE TABLE'"
    return sorted(row[0] for row in _rows(server, query, schema))


def _everything(server: MariaDB) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the central and all tenant databases, by table. (CHECKSUM TABLE differs where rows do not.)"""
    schemas = ["central", *(tenant.database for tenant in database.tenants(TENANTS))]
    names = [f"{schema}.{table}" for schema in schemas for table in _tables(server, schema)]
    return {name: sorted(_rows(server, f"SELECT * FROM {name}"), key=repr) for name in names}  # noqa: S608 (our names)


def test_every_tenant_has_what_a_restore_can_lose(server: MariaDB) -> None:
    """Each tenant: 10 tables and 1,000 rows or more, foreign keys, trigger, event, routine, view."""
    everything = _everything(server)
    for tenant in database.tenants(TENANTS):
        assert len(_tables(server, tenant.database)) >= 10
        assert sum(len(rows) for name, rows in everything.items() if name.startswith(f"{tenant.database}.")) >= 1000
        for kind, query in KINDS.items():
            assert _rows(server, query, tenant.database)[0][0] > 0, kind


def test_rows_have_every_awkward_kind_of_value(server: MariaDB) -> None:
    """NULL, negative decimal, valid JSON, bytes of every kind that match their hash, and emoji come back as stored."""
    schema = "tenant_acme"
    [(nulls, least)] = _rows(server, "SELECT SUM(email IS NULL), MIN(credit) FROM customers", schema=schema)
    assert nulls > 0
    assert least < 0
    [(wrong,)] = _rows(server, "SELECT SUM(UNHEX(SHA2(content, 256)) <> sha256) FROM documents", schema=schema)
    assert wrong == 0
    [(content,)] = _rows(server, "SELECT content FROM documents WHERE id = 1", schema=schema)
    assert content.startswith(b"%PDF-1.4\n\x00\xff\xfe\n\r")
    assert _rows(server, "SELECT COUNT(*) FROM messages WHERE body LIKE '%👩‍👩‍👧‍👦%'", schema=schema)[0][0] > 0
    [(preferences,)] = _rows(server, "SELECT preferences FROM customers WHERE id = 1", schema=schema)
    assert json.loads(preferences)["tags"] == ["a", 1]


def test_orders_add_up(server: MariaDB) -> None:
    """An order's total is the sum of its lines, each order was audited by the trigger, tenants differ."""
    query = (
        "SELECT COUNT(*) FROM orders"
        " WHERE total <> (SELECT SUM(line_total) FROM order_items WHERE order_id = orders.id)"
    )
    assert _rows(server, query, schema="tenant_acme") == [(0,)]
    unaudited = "SELECT COUNT(*) FROM orders WHERE id NOT IN (SELECT row_id FROM audit_log WHERE table_name = 'orders')"
    assert _rows(server, unaudited, schema="tenant_acme") == [(0,)]
    query = "SELECT SUM(total) FROM orders"
    assert len({_rows(server, query, schema=t.database)[0] for t in database.tenants(TENANTS)}) == TENANTS


def test_the_same_content_each_time_and_side_by_side(server: MariaDB, tmp_path: Path) -> None:
    """A second server, made anew without the cache, holds the same, and what one writes the other does not see."""
    other = _started(tmp_path, "127.214.64.11", None)
    try:
        assert _everything(other) == _everything(server)
        _rows(other, "INSERT INTO notes (body) VALUES ('only here')", schema="central")
        assert _everything(other) != _everything(server)
    finally:
        other.stop()


def test_sandboxes_that_start_together_share_one_template(tmp_path: Path) -> None:
    """Two that find no template make one, both get it, and nothing half-made is left."""
    content, cache = database.content(1), tmp_path / "cache"
    targets = [(tmp_path / name / "data", f"127.214.64.{host}") for host, name in enumerate("ab", start=20)]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda target: lay_out(content, target[0], cache=cache, address=target[1]), targets))
    assert all((data / "tenant_acme" / "orders.ibd").is_file() for data, _ in targets)
    [template] = [path for path in cache.iterdir() if path.is_dir()]
    assert template.name.startswith(f"mariadb-{version()}-")


def test_templates_that_nobody_takes_are_dropped(tmp_path: Path) -> None:
    """Making a template drops those that were last taken weeks ago, and keeps the others."""
    old, recent = tmp_path / "mariadb-old", tmp_path / "mariadb-recent"
    for directory in (old, recent):
        directory.mkdir()
    os.utime(old, (0, 0))
    lay_out(EMPTY, tmp_path / "world" / "data", cache=tmp_path, address="127.214.64.22")
    assert (old.exists(), recent.exists()) == (False, True)


def test_another_number_of_tenants_is_another_content() -> None:
    """Templates are told apart by the number of tenants and the seed."""
    contents = [database.content(2), database.content(3), database.content(2, seed=2)]
    assert len({content.fingerprint for content in contents}) == 3
    assert database.content(2).fingerprint == contents[0].fingerprint


def test_a_thousand_tenants_have_names_of_their_own() -> None:
    """Slugs are unique, and good for a database's and a bucket's name."""
    tenants = database.tenants(1000)
    assert len({tenant.slug for tenant in tenants}) == 1000
    assert all(tenant.slug.isalnum() and len(tenant.bucket) <= 63 for tenant in tenants)


def test_acknowledged_commits_survive_a_kill(tmp_path: Path, cache: Path) -> None:
    """After SIGKILL and a restart over the same files every acknowledged row is there, and the password still holds."""
    server = _started(tmp_path, "127.214.64.12", cache)
    try:
        for number in range(50):
            _rows(server, "INSERT INTO notes (body) VALUES (%s)", f"note {number}", schema="central")
        server.kill()
        wait_until(lambda: server.exit_code() is not None, what="the server's end", deadline=5, interval=0.01)
        server.start()
        server.wait_until_ready(deadline=SECONDS)
        assert _rows(server, "SELECT COUNT(*) FROM notes WHERE body LIKE 'note %'", schema="central") == [(50,)]
    finally:
        server.stop()


def test_a_frozen_server_does_not_answer(server: MariaDB) -> None:
    """Frozen, it is no longer ready; thawed, it is."""
    server.freeze()
    try:
        assert not server.answers(timeout=0.3)
    finally:
        server.thaw()
    assert server.answers(timeout=5)


def test_the_master_user_is_no_superuser(server: MariaDB) -> None:
    """As on RDS, the master user may dump and restore, but neither read the machine's files nor end the server."""
    _rows(server, "CREATE DATABASE restored")
    _rows(server, "CREATE TRIGGER central.t BEFORE INSERT ON central.notes FOR EACH ROW SET NEW.body = 'x'")
    _rows(server, "DROP TRIGGER central.t")
    _rows(server, "DROP DATABASE restored")
    for refused in ("SELECT * FROM central.notes INTO OUTFILE '/tmp/x'", "SHUTDOWN", "SET GLOBAL read_only = 1"):
        with pytest.raises(pymysql.MySQLError, match="Access denied"):
            _rows(server, refused)


def test_an_address_that_is_taken_is_told(server: MariaDB, tmp_path: Path, cache: Path) -> None:
    """A server that cannot listen is an error with the end of its log, not a hang."""
    lay_out(EMPTY, tmp_path / "data", cache=cache, address=server.address)
    second = MariaDB(tmp_path / "data", address=server.address)
    second.start([create_database("central")])
    with pytest.raises(PartFailed, match="Address already in use"):
        second.wait_until_ready(deadline=SECONDS)
    second.stop()


def test_temporary_tables_are_its_own(server: MariaDB) -> None:
    """A server that starts removes what it finds where temporary tables are kept: it must find no other's."""
    [(place,)] = _rows(server, "SELECT @@tmpdir")
    assert place == str(server.data.with_name(f"{server.data.name}.tmp"))
