"""What is equal is equal: after a dump and load, under another name, with every awkward name and type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_envdr.errors import UsageError
from pytest_envdr.verify.database import Manifest, Options, compare, digests, snapshot
from tests.verify.database_rig import TENANT, Server, dump, empty, fill

if TYPE_CHECKING:
    from collections.abc import Iterator

AWKWARD = ("it's", "a`b", "with-dash", "Ünï cødé", "x" * 64, 'say "no"', "per%cent", "a.b")
TYPES = (
    "CREATE TABLE every (i INT PRIMARY KEY, t TINYINT, u BIGINT UNSIGNED, d DECIMAL(30,10), f FLOAT, f2 FLOAT(7,2),"
    " g DOUBLE, b BIT(17), c CHAR(5), l CHAR(5) CHARACTER SET latin1, l2 VARCHAR(5) CHARACTER SET latin2,"
    " v VARBINARY(9), y YEAR, da DATE, ti TIME(3), ts TIMESTAMP(6) NULL, e ENUM('a','#','') , s SET('x','y'), j JSON,"
    " bl LONGBLOB, te MEDIUMTEXT, ge GEOMETRY, uu UUID, ip INET6,"
    " vi INT AS (i + 1) VIRTUAL, st INT AS (i + 2) STORED, hidden INT INVISIBLE DEFAULT 3)",
    "INSERT INTO every (i, t, u, d, f, f2, g, b, c, l, l2, v, y, da, ti, ts, e, s, j, bl, te, ge, uu, ip) VALUES"
    " (1, -1, 18446744073709551615, -1.0000000001, 0.1, 1.25, 1e-308, b'10101', 'ab ', 'é', 'č', 0x00FF23, 2024,"
    " '2024-02-29', '-838:59:58.123', '2024-06-01 12:00:00.000001', '#', 'x,y', '{\"a\": [1, null]}', 0x0A0D00, '#1#',"
    " ST_GeomFromText('POINT(1 2)'), UUID(), '::1')",
    "INSERT INTO every (i) VALUES (2)",
    "CREATE TABLE `it's a ``table```(`col``umn` INT, `a'b\"%s` TEXT, KEY `k-1` (`col``umn`))",
    "INSERT INTO `it's a ``table``` VALUES (1, 'x'), (NULL, NULL)",
    "CREATE SEQUENCE numbers",
    "CREATE TABLE aria (i INT PRIMARY KEY, t TEXT) ENGINE=Aria",
    "INSERT INTO aria VALUES (1, 'x')",
    "CREATE TABLE parted (i INT PRIMARY KEY) PARTITION BY HASH (i) PARTITIONS 3",
    "INSERT INTO parted VALUES (1), (2)",
    "CREATE TABLE unique_key (a VARCHAR(5) NOT NULL, b INT, UNIQUE KEY only (a))",
    "INSERT INTO unique_key VALUES ('x', 1)",
)
CHANGES = {
    "f": "0.1000001",
    "f2": "1.26",
    "b": "b'10100'",
    "l": "'è'",
    "v": "0x00FF24",
    "ts": "FROM_UNIXTIME(1717243200.000002)",
    "e": "''",
    "j": "'{\"a\": [1, 0]}'",
    "bl": "0x0A0D",
    "ge": "ST_GeomFromText('POINT(1 3)')",
    "uu": "'123e4567-e89b-12d3-a456-426655440000'",
    "ip": "'::2'",
    "hidden": "4",
    "ti": "'-838:59:58.124'",
}


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Three databases as ever, one with every type, and empty ones with every kind of name."""
    server = empty(tmp_path_factory.mktemp("one") / "data", address="127.25.0.20")
    fill(server)
    server.run("CREATE DATABASE types CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
    server.run(*TYPES, database="types")
    for name in AWKWARD:
        quoted = name.replace("`", "``")
        server.run(f"CREATE DATABASE `{quoted}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
        server.run(*TENANT, database=name)
    server.run("CREATE DATABASE empty CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def other(one: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A logical copy in another time zone, with another SQL mode and page size; `types` as `kinds`."""
    server = empty(tmp_path_factory.mktemp("other") / "data", address="127.25.0.21")
    for name in ("central", "tenant_a", "tenant_b"):
        dump(one, server, name, into=name)
    dump(one, server, "types", into="kinds")
    server.mariadb.execute(["SET GLOBAL time_zone = '-07:00', GLOBAL sql_mode = 'ANSI'"], timeout=30)
    yield server
    server.stop()


def test_a_logical_copy_is_equal(one: Server, other: Server) -> None:
    """Dumped and loaded into another server: no difference, whatever time zone and SQL mode it has."""
    assert list(compare(one.connect, other.connect, ["central", "tenant_a", "tenant_b"])) == []


def test_a_copy_under_another_name_is_equal(one: Server, other: Server) -> None:
    """Names may be mapped; every type survives, a stored generated column too."""
    assert list(compare(one.connect, other.connect, {"types": "kinds", "tenant_a": "tenant_b"})) == []


def test_a_view_that_still_reads_the_original_is_no_copy(one: Server, other: Server) -> None:
    """Under another name each definition is taken as its own, so that one that crosses over shows."""
    view = (
        "CREATE OR REPLACE VIEW tenant_b.totals AS"
        " SELECT customer, SUM(total) AS total FROM {}.orders GROUP BY customer"
    )
    other.run(view.format("tenant_a"))
    try:
        assert list(compare(other.connect, other.connect, {"tenant_b": "tenant_b"})) == []
        found = list(compare(one.connect, other.connect, {"tenant_a": "tenant_b"}))
        assert [(difference.kind, difference.where) for difference in found] == [("view", "totals")]
    finally:
        other.run(view.format("tenant_b"))


@pytest.mark.parametrize("column", CHANGES)
def test_a_change_to_a_value_of_any_type_is_found(column: str, one: Server, other: Server) -> None:
    """The smallest change that the type can hold is a changed row, and that column is named."""
    change = f"UPDATE every SET {column} = {CHANGES[column]} WHERE i = 1"  # noqa: S608 (our own)
    other.run(change, database="kinds")
    found = list(compare(one.connect, other.connect, {"types": "kinds"}))
    one.run(change, database="types")
    assert [(difference.kind, difference.where, difference.actual) for difference in found] == [
        ("changed-row", "i=1", column)
    ]


def test_what_a_dump_rounds_is_found(one: Server, other: Server) -> None:
    """A FLOAT has more digits than mariadb-dump writes: its logical copy is not equal, and that is told."""
    one.run(
        "CREATE TABLE rounded (i INT PRIMARY KEY, f FLOAT)",
        "INSERT INTO rounded VALUES (1, 16777216), (2, 0.5)",
        database="types",
    )
    dump(one, other, "types", into="again")
    found = [found for found in compare(one.connect, other.connect, {"types": "again"}) if found.table == "rounded"]
    assert [(found.kind, found.where, found.actual) for found in found] == [("changed-row", "i=1", "f")]
    one.run("DROP TABLE rounded", database="types")


def test_awkward_names(one: Server) -> None:
    """Quotes, dashes, dots, Unicode, 64 characters: equal to its manifest, and its damage is named by its name."""
    manifest = Manifest.from_json(snapshot(one.connect).to_json())
    assert set(AWKWARD) <= set(manifest.databases)
    assert list(compare(manifest, one.connect)) == []
    one.run("INSERT INTO `it's a ``table``` VALUES (2, 'y')", database="types")
    one.run("UPDATE customers SET amount = 0 WHERE id = 1", database="a`b")
    found = [(one.kind, one.database, one.table) for one in compare(manifest, one.connect)]
    assert sorted(found) == [("content", "a`b", "customers"), ("row-count", "types", "it's a `table`")]


def test_declared_tables_may_be_written_to(one: Server) -> None:
    """Their rows do not count, in a digest or a comparison; that they are there does."""
    options = Options(declared=frozenset({"dr_heartbeat", "central.log"}))
    before, manifest = digests(one.connect, declared=options.declared), snapshot(one.connect)
    one.run("INSERT INTO dr_heartbeat VALUES (2, NOW())", database="tenant_b")
    one.run("DELETE FROM log", database="central")
    assert digests(one.connect, declared=options.declared) == before
    assert list(compare(manifest, one.connect, options=options)) == []
    one.run("DELETE FROM log LIMIT 1", database="tenant_b")
    after = digests(one.connect, declared=options.declared)
    assert [name for name in before if before[name] != after[name]] == ["tenant_b"]
    one.run("DROP TABLE dr_heartbeat", database="tenant_b")
    kinds = {(found.kind, found.table) for found in compare(manifest, one.connect, options=options)}
    assert kinds == {("missing-table", "dr_heartbeat"), ("row-count", "log")}


def test_definers_may_differ(one: Server, other: Server) -> None:
    """Loaded by another user, a routine has another definer: a difference unless told otherwise."""
    other.run("CREATE USER IF NOT EXISTS someone")
    other.mariadb.execute(
        [
            "USE central",
            "SET sql_mode = (SELECT sql_mode FROM mysql.proc WHERE db = 'tenant_a' AND name = 'twice')",
            "CREATE OR REPLACE DEFINER=someone@'%' FUNCTION twice(x INT) RETURNS INT DETERMINISTIC RETURN x * 2",
        ],
        timeout=30,
    )
    strict, lenient = (Options(definers=counts, declared=frozenset({"log"})) for counts in (True, False))
    found = list(compare(one.connect, other.connect, ["central"], options=strict))
    assert [(one.where, one.actual) for one in found] == [("function twice", "definer: someone@%")]
    assert list(compare(one.connect, other.connect, ["central"], options=lenient)) == []


@pytest.mark.parametrize("text", ["", "[]", '{"format": 99}', '{"format": 1}'])
def test_what_is_no_manifest_is_refused(text: str) -> None:
    """A damaged file is the user's mistake, in words, not an empty list of differences."""
    with pytest.raises(UsageError):
        Manifest.from_json(text)


def test_accounts_are_not_silently_left_out(one: Server) -> None:
    """A manifest without accounts cannot be compared by them."""
    with pytest.raises(UsageError, match="accounts"):
        list(compare(snapshot(one.connect, ["central"]), one.connect, options=Options(accounts=True)))
