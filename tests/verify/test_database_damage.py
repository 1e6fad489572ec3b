"""Each damage, made for real on a real server, is found and named, and nothing else is."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from pytest_envdr.verify.database import Manifest, Options, compare, snapshot
from tests.verify.database_rig import ACCOUNTS, Server, empty, fill

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = 16384
OF_ROWS = {"missing-row", "extra-row", "changed-row", "content", "row-count"}
ALL = Options(accounts=True)
Named = tuple[str, str, str, str]
"""Kind, table, where, actual."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Server:
    """The files that every server starts from; stopped."""
    server = empty(tmp_path_factory.mktemp("template") / "data", address="127.24.0.10")
    fill(server)
    server.run(*ACCOUNTS)
    server.stop()
    return server


@pytest.fixture(scope="module")
def original(template: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = template.clone(tmp_path_factory.mktemp("original") / "data", address="127.24.0.11")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def manifest(original: Server) -> Manifest:
    """What the original held, as it is kept in a file."""
    kept = snapshot(original.connect, options=Options(check=False, accounts=True)).to_json()
    return Manifest.from_json(kept)


@pytest.fixture
def copy(template: Server, tmp_path: Path) -> Iterator[Server]:
    """A restored copy, not started yet."""
    server = template.clone(tmp_path / "data", address="127.24.0.12")
    yield server
    server.stop()
    shutil.rmtree(server.mariadb.data)


def found(expected: Server | Manifest, actual: Server) -> list[Named]:
    """What a comparison of everything says; all of it in tenant_a or the server."""
    source = expected if isinstance(expected, Manifest) else expected.connect
    differences = list(compare(source, actual.connect, options=ALL))
    assert {one.database for one in differences} <= {"tenant_a", ""}
    assert all(str(one).endswith(".") for one in differences)
    return [(one.kind, one.table, one.where, one.actual) for one in differences]


def test_equal_servers_have_no_difference(original: Server, manifest: Manifest, copy: Server) -> None:
    """A copy of the files, started: nothing differs from the original, nor from its manifest."""
    copy.start()
    assert found(original, copy) == []
    assert found(manifest, copy) == []


C = "customers"
NO_KEY = "no key tells its rows apart"
DAMAGES: dict[str, tuple[tuple[str, ...], list[Named]]] = {
    "a value changed": (
        ("UPDATE customers SET amount = amount + 0.01 WHERE id = 7",),
        [("changed-row", C, "id=7", "amount")],
    ),
    "the same change in two rows": (
        ("UPDATE customers SET name = REPLACE(name, 'Zoë', 'Zoé') WHERE id IN (10, 11)",),
        [("changed-row", C, "id=10", "name"), ("changed-row", C, "id=11", "name")],
    ),
    "a value moved between columns that may be NULL": (
        ("UPDATE customers SET phone = email, email = NULL WHERE id = 4",),
        [("changed-row", C, "id=4", "email, phone")],
    ),
    "an empty text instead of NULL": (
        ("UPDATE customers SET email = '' WHERE id = 3",),
        [("changed-row", C, "id=3", "email")],
    ),
    "upper case, equal in the collation": (
        ("UPDATE orders SET number = 'n-5' WHERE customer = 5",),
        [
            ("extra-row", "orders", "customer=5, number=n-5", ""),
            ("missing-row", "orders", "customer=5, number=N-5", ""),
        ],
    ),
    "the last digit of a double": (
        ("UPDATE orders SET total = total + 1e-12 WHERE customer = 3",),
        [("changed-row", "orders", "customer=3, number=N-3", "total")],
    ),
    "a row missing": (
        ("DELETE FROM customers WHERE id = 150",),
        [("row-count", C, "", "199"), ("missing-row", C, "id=150", "")],
    ),
    "a row more": (
        ("INSERT INTO customers (id, name) VALUES (180000, 'Eve')", "ALTER TABLE customers AUTO_INCREMENT = 1"),
        [("schema", C, "auto_increment", "180001"), ("row-count", C, "", "201"), ("extra-row", C, "id=180000", "")],
    ),
    "a row replaced": (
        ("UPDATE customers SET id = 999 WHERE id = 60",),
        [
            ("schema", C, "auto_increment", "1000"),
            ("extra-row", C, "id=999", ""),
            ("missing-row", C, "id=60", ""),
        ],
    ),
    "a row without key": (("UPDATE log SET line = 'c' WHERE line = 'b'",), [("content", "log", NO_KEY, "*")]),
    "two equal rows exchanged for two others": (
        ("UPDATE log SET line = 'z' WHERE line = 'a'",),
        [("content", "log", NO_KEY, "*")],
    ),
    "a table emptied": (("DELETE FROM orders",), [("row-count", "orders", "", "0")]),
    "a table missing": (("DROP TABLE dr_heartbeat",), [("missing-table", "dr_heartbeat", "", "")]),
    "a table more": (("CREATE TABLE more (id INT)",), [("extra-table", "more", "", "")]),
    "the database missing": (("DROP DATABASE tenant_a",), [("missing-database", "", "", "")]),
    "an index dropped": (("DROP INDEX by_name ON customers",), [("schema", C, "index by_name", "missing")]),
    "a constraint dropped": (
        ("ALTER TABLE orders DROP CONSTRAINT placed_by",),
        [("schema", "orders", "constraint placed_by", "missing")],
    ),
    "a check dropped": (
        ("ALTER TABLE orders DROP CONSTRAINT positive",),
        [("schema", "orders", "constraint positive", "missing")],
    ),
    "a default changed": (
        ("ALTER TABLE customers ALTER amount SET DEFAULT 1",),
        [("schema", C, "column amount", "`amount` decimal(12,2) NOT NULL DEFAULT 1.00")],
    ),
    "a column dropped": (("ALTER TABLE customers DROP phone",), [("schema", C, "column phone", "missing")]),
    "a collation changed": (
        ("ALTER TABLE customers MODIFY note TEXT COLLATE utf8mb4_bin NULL",),
        [("schema", C, "column note", "`note` text CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL")],
    ),
    "the database's collation changed": (
        ("ALTER DATABASE tenant_a COLLATE utf8mb4_general_ci",),
        [("schema", "", "options", "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")],
    ),
    "AUTO_INCREMENT reset": (
        ("DELETE FROM customers WHERE id = 200", "ALTER TABLE customers AUTO_INCREMENT = 1"),
        [
            ("schema", C, "auto_increment", "200"),
            ("row-count", C, "", "199"),
            ("missing-row", C, "id=200", ""),
        ],
    ),
    "a trigger lost": (("DROP TRIGGER audited",), [("trigger", "", "audited", "missing")]),
    "a procedure lost": (("DROP PROCEDURE clean",), [("routine", "", "procedure clean", "missing")]),
    "a function changed": (
        ("CREATE OR REPLACE FUNCTION twice(x INT) RETURNS INT DETERMINISTIC RETURN x * 3",),
        [("routine", "", "function twice", "body_utf8: RETURN x * 3")],
    ),
    "an event disabled": (("ALTER EVENT hourly DISABLE",), [("event", "", "hourly", "status: DISABLED")]),
    "an event lost": (("DROP EVENT hourly",), [("event", "", "hourly", "missing")]),
    "a view lost": (("DROP VIEW totals",), [("view", "", "totals", "missing")]),
    "a grant lost": (
        ("REVOKE INSERT ON `tenant\\_a`.* FROM app@'%'",),
        [("grant", "", "app@%", "GRANT SELECT ON `tenant\\_a`.* TO `app`@`%`")],
    ),
    "an account lost": (("DROP USER app@'%'",), [("grant", "", "app@%", "no account")]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damage_is_found_and_named(damage: str, original: Server, manifest: Manifest, copy: Server) -> None:
    """What was damaged is named exactly against a live server; a manifest tells the same but for which rows."""
    statements, expected = DAMAGES[damage]
    copy.start()
    copy.run(*statements, database="tenant_a")
    live = [
        (kind, table, where, "*" if kind == "content" else actual)
        for kind, table, where, actual in found(original, copy)
    ]
    assert sorted(live) == sorted(expected)
    kept = {one[:3] for one in found(manifest, copy)}
    assert {one for one in kept if one[0] not in OF_ROWS} == {one[:3] for one in expected if one[0] not in OF_ROWS}
    in_rows = {one[1] for one in expected if one[0] in OF_ROWS}
    # A manifest has one digest of all columns, so that with a column the content is gone too.
    assert {one[1] for one in kept if one[0] in OF_ROWS} == in_rows | ({C} if damage == "a column dropped" else set())


def test_a_database_too_many_is_found(original: Server, copy: Server) -> None:
    """A database that only the copy has is a difference, unless only others were asked for."""
    copy.start()
    copy.run("CREATE DATABASE tenant_x")
    assert [str(one) for one in compare(original.connect, copy.connect)] == [
        "Database tenant_x is there and should not be."
    ]
    assert list(compare(original.connect, copy.connect, ["tenant_a"])) == []


def damage_page(data: Path, number: int) -> None:
    """Overwrite the middle of one page: 3 is the root of the table's first index, 4 that of the second."""
    with (data / "tenant_a" / "customers.ibd").open("r+b") as file:
        file.seek(number * PAGE + 400)
        file.write(b"\xde\xad\xbe\xef" * 50)


@pytest.mark.parametrize("checked", [True, False])
def test_a_corrupt_page_of_rows_is_found(original: Server, copy: Server, *, checked: bool) -> None:
    """CHECK TABLE sees it on the cold server; a query of the rows does so too."""
    damage_page(copy.mariadb.data, 3)
    copy.start()
    differences = list(compare(original.connect, copy.connect, options=Options(check=checked)))
    kinds = {(one.kind, one.database, one.table) for one in differences}
    expected = {("unreadable", "tenant_a", C), ("check", "tenant_a", C)}
    assert kinds == (expected if checked else expected - {("check", "tenant_a", C)})


def test_a_corrupt_page_of_an_index_is_found_by_check_alone(original: Server, copy: Server) -> None:
    """Content and definition are in order, so that nobody but CHECK TABLE sees it."""
    damage_page(copy.mariadb.data, 4)
    copy.start()
    assert list(compare(original.connect, copy.connect, options=Options(check=False))) == []
    copy.stop()
    copy.start()
    assert {(one.kind, one.table) for one in compare(original.connect, copy.connect)} == {("check", C)}


@pytest.mark.parametrize("damage", ["truncated", "removed"])
def test_a_file_that_is_not_whole_is_found(damage: str, original: Server, copy: Server) -> None:
    """A truncated or removed .ibd is told, once by CHECK TABLE and once by reading; the rest is compared as ever."""
    file = copy.mariadb.data / "tenant_a" / "customers.ibd"
    if damage == "removed":
        file.unlink()
    else:
        with file.open("r+b") as opened:
            opened.truncate(2 * PAGE)
    copy.start()
    copy.run("DELETE FROM log LIMIT 1", database="tenant_b")
    differences = list(compare(original.connect, copy.connect))
    assert {(one.kind, one.database, one.table) for one in differences} == {
        ("check", "tenant_a", C),
        ("unreadable", "tenant_a", C),
        ("row-count", "tenant_b", "log"),
    }


def test_a_view_that_reads_what_is_gone_is_found(original: Server, copy: Server) -> None:
    """A view over a dropped column is no view any more, though its definition is the same."""
    copy.start()
    copy.run("ALTER TABLE orders DROP CONSTRAINT positive, DROP total", database="tenant_a")
    differences = [(one.kind, one.table, one.where) for one in compare(original.connect, copy.connect)]
    assert ("check", "totals", "") in differences
    assert ("schema", "orders", "column total") in differences
