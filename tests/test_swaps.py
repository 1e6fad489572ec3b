"""Acts on databases, and their undoing: what a drill made goes, what it changed is as before, and nothing else."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import dumps, swaps, undo
from pytest_envdr.aws import Aws
from pytest_envdr.errors import Refused, UndoFailed
from pytest_envdr.journal import Header, Inverse, Journal
from pytest_envdr.mariadb import Server, quoted
from tests.drills.tenant_rig import files, hands, on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXERCISE = "20260101T000000Z-5a5a5a"
NAMES = {"quote": "o'brien", "dash": "a-b", "64 characters": "x" * 64, "Unicode": "büro-封筒"}


@pytest.fixture(scope="module")
def stack_file(battered_stack: Path) -> Path:
    """A running stack."""
    return battered_stack


@pytest.fixture(scope="module")
def server(stack_file: Path) -> Server:
    """Its database server."""
    return swaps.server(hands(stack_file))


@pytest.fixture
def journal(stack_file: Path, tmp_path: Path) -> Iterator[Journal]:
    """A journal of this test's own."""
    read = hands(stack_file).stack
    header = Header(EXERCISE, read.account, read.region, read.endpoint)
    with Journal.open(tmp_path / "journals" / "target.jsonl", header) as journal:
        yield journal


@pytest.fixture
def aws(stack_file: Path, journal: Journal) -> Aws:
    """The stack, under the journal's guard."""
    return Aws(hands(stack_file).stack, journal)


@pytest.fixture(params=NAMES)
def database(request: pytest.FixtureRequest, server: Server) -> Iterator[str]:
    """A database with a table, of an odd name."""
    with made(server, NAMES[request.param], "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)"):
        yield NAMES[request.param]


@pytest.fixture
def plain(server: Server) -> Iterator[str]:
    """A database with a table."""
    with made(server, "plain", "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2)"):
        yield "plain"


@contextmanager
def made(server: Server, name: str, *statements: str) -> Iterator[str]:
    """A database with what statements make in it."""
    on(server, "central", f"CREATE DATABASE {quoted(name)}")
    try:
        on(server, name, "SELECT 1", *statements)
        yield name
    finally:
        on(server, "central", f"DROP DATABASE IF EXISTS {quoted(name)}")


def databases(server: Server) -> list[str]:
    """Their names."""
    return [name for (name,) in on(server, "central", "SHOW DATABASES")]


def digest(server: Server, database: str) -> str:
    return swaps.digest(server, database, spared=())


def test_whatever_it_is_called(aws: Aws, journal: Journal, server: Server, database: str) -> None:
    """Kept, damaged, copied beside, replaced and undone: the digest is that of before, copies and dumps are gone, and a
    second undo does nothing."""
    before, there = digest(server, database), databases(server)
    safety = swaps.kept(aws, journal, database, spared=())
    assert safety.digest == before
    swaps.change(aws, journal, database, [f"TRUNCATE {quoted(database)}.t"], safety=safety)
    copy = swaps.own_name(EXERCISE, database)
    assert len(copy) <= 64
    swaps.bring_in(aws, journal, safety.dump, copy)
    assert digest(server, copy) == before
    damaged = swaps.dumped(journal, server, database)
    swaps.replace(aws, journal, damaged, database, safety=safety)
    assert digest(server, database) != before
    undo.replay(aws, journal)
    assert (digest(server, database), databases(server)) == (before, there)
    assert files(journal.path.parent) == []
    assert undo.replay(aws, journal) == []


@pytest.mark.parametrize("count", [0, 200], ids=["no tables", "200 tables"])
def test_however_many_tables(aws: Aws, journal: Journal, server: Server, count: int) -> None:
    """A tenant without tables and one with two hundred come back after they were dropped."""
    tables = [f"CREATE TABLE t{number} (id INT PRIMARY KEY)" for number in range(count)]
    with made(server, f"many-{count}", *tables) as name:
        safety, before = swaps.kept(aws, journal, name, spared=()), digest(server, name)
        swaps.change(aws, journal, name, [f"DROP DATABASE {quoted(name)}"], safety=safety)
        assert name not in databases(server)
        undo.replay(aws, journal)
        assert name in databases(server)
        assert digest(server, name) == before
        assert len(on(server, name, "SHOW TABLES")) == count


def test_what_is_as_before_is_not_loaded_again(aws: Aws, journal: Journal, server: Server, plain: str) -> None:
    """Put back by somebody else, or by the recovery itself: only looked at."""
    safety = swaps.kept(aws, journal, plain, spared=())
    swaps.change(aws, journal, plain, ["TRUNCATE plain.t"], safety=safety)
    on(server, plain, "INSERT INTO t VALUES (1), (2)")
    how = {one.entry.act: one.how for one in undo.replay(aws, journal)}
    assert how["mariadb.Execute"] == "was as before"


def test_no_other_database_is_dropped(aws: Aws, journal: Journal, server: Server, plain: str) -> None:
    """One that by its name is no drill's own is neither loaded nor dropped, whatever a journal says."""
    dumped = swaps.dumped(journal, server, plain)
    with pytest.raises(Refused, match="no drill's own"):
        swaps.bring_in(aws, journal, dumped, "customers")
    for name in (plain, "central", f"{plain}_envdr_zzzzzz", f"{plain}_envdr_5a5a5a_more"):
        entry = journal.intend(swaps.LOAD, {}, inverse=Inverse(swaps.DROP, {"database": name}, f"no {name}"))
        entry.settle()
        with pytest.raises(UndoFailed, match="no drill's own"):
            undo.reverse(aws, journal, entry)
    assert {plain, "central"} <= set(databases(server))


def test_a_dump_that_is_still_needed_stays(aws: Aws, journal: Journal, server: Server, plain: str) -> None:
    """As long as an act is owed that only it undoes, a dump is not taken away; only this user may read it."""
    safety = swaps.kept(aws, journal, plain, spared=())
    swaps.change(aws, journal, plain, ["TRUNCATE plain.t"], safety=safety)
    kept, changed = journal.owed()
    assert safety.dump.path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(UndoFailed, match="is still owed"):
        undo.reverse(aws, journal, kept)
    assert safety.dump.path.exists()
    undo.reverse(aws, journal, changed)
    undo.reverse(aws, journal, kept)
    assert not safety.dump.path.exists()
    assert digest(server, plain) == safety.digest


def test_a_dump_that_was_tampered_with(aws: Aws, journal: Journal, server: Server, plain: str) -> None:
    """It is not loaded: what it would bring is not what was. It stays owed; mended, it is undone."""
    safety = swaps.kept(aws, journal, plain, spared=())
    swaps.change(aws, journal, plain, ["TRUNCATE plain.t"], safety=safety)
    damaged, written = digest(server, plain), safety.dump.path.read_bytes()
    safety.dump.path.write_bytes(written.replace(b"(1)", b"(7)"))
    with pytest.raises(UndoFailed, match="is not what was written"):
        undo.replay(aws, journal)
    assert digest(server, plain) == damaged
    assert [entry.act for entry in journal.owed()] == ["mariadb.DumpDatabase", "mariadb.Execute"]
    safety.dump.path.write_bytes(written)
    undo.replay(aws, journal)
    assert digest(server, plain) == safety.digest


def test_two_dumps_of_one_database(journal: Journal, server: Server, plain: str) -> None:
    """A second drill of the same run does not write over what the first one still owes."""
    paths = {swaps.dumped(journal, server, plain).path for _ in range(2)}
    assert len(paths) == 2
    swaps.forget(journal.entries)
    assert not any(path.exists() for path in paths)


def test_out_of_service_and_back(aws: Aws, journal: Journal) -> None:
    """The drill's tenant is suspended, and active again; nothing is done where somebody put it back already."""
    row = aws.stack.drill_tenant
    assert row is not None
    for _ in range(2):
        swaps.quiesce(aws, journal)
        assert not swaps.in_service(aws, row.slug)
    how: list[Any] = [one.how for one in undo.replay(aws, journal)]
    assert how == ["brought back", "was as before"]
    assert swaps.in_service(aws, row.slug)


def test_a_load_that_was_cut_off(aws: Aws, journal: Journal, server: Server, plain: str) -> None:
    """Half of a database is not what was: it is loaded again."""
    safety = swaps.kept(aws, journal, plain, spared=())
    half = dumps.dump(server, plain, journal.path.with_name("half.dump"))
    swaps.replace(aws, journal, half, plain, safety=safety)
    on(server, plain, "DROP TABLE t")
    undo.replay(aws, journal)
    assert digest(server, plain) == safety.digest
