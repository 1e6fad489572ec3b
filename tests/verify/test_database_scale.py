"""Large tables and many databases: bounded memory, nothing pulled that need not be, the same answer everywhere."""

from __future__ import annotations

import tracemalloc
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pymysql.cursors import Cursor

from pytest_envdr.verify.database import Options, compare, snapshot
from tests.verify.database_rig import TENANT, Server, empty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pymysql.connections import Connection

ROWS = 100_000
TENANTS = 40
OPTIONS = Options(part=10_000, check=False)
MEGABYTE = 1 << 20


class Serial(Executor):
    """Does each unit when it is submitted."""

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work(*arguments, **named))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """`big`: 100,000 rows of 200 bytes, 25 MB, and its copy `big_copy`, ten rows of which differ; and 40 tenants."""
    server = empty(tmp_path_factory.mktemp("scale") / "data", address="127.26.0.30")
    for database in ("big", "big_copy"):
        server.run(
            f"CREATE DATABASE {database}",
            f"USE {database}",
            "CREATE TABLE t (id BIGINT PRIMARY KEY, filler CHAR(200) NOT NULL, code VARCHAR(40) NOT NULL)",
            f"INSERT INTO t SELECT seq * 3, MD5(seq), CONCAT('code ', seq) FROM seq_1_to_{ROWS}",  # noqa: S608 (our own)
            "ANALYZE TABLE t",
        )
    server.run(
        "UPDATE t SET code = 'changed' WHERE id IN (3, 99999, 100002, 299997)",
        "DELETE FROM t WHERE id IN (6, 150000, 300000)",
        "INSERT INTO t VALUES (1, 'x', 'x'), (150001, 'x', 'x'), (2000000, 'x', 'x')",
        database="big_copy",
    )
    for number in range(TENANTS):
        server.run(f"CREATE DATABASE tenant_{number}")
        server.run(*TENANT, database=f"tenant_{number}")
    yield server
    server.stop()


CHANGED = {3, 99999, 100002, 299997}
MISSING = {6, 150000, 300000}
EXTRA = {1, 150001, 2000000}


def named(server: Server, options: Options = OPTIONS, executor: Executor | None = None) -> list[tuple[str, str]]:
    differences = compare(server.connect, server.connect, {"big": "big_copy"}, options=options, executor=executor)
    return [(one.kind, one.where) for one in differences]


@pytest.mark.parametrize("part", [10_000, 10_000_000])
def test_each_differing_row_of_a_large_table_is_named(server: Server, part: int) -> None:
    """In parts or in one: four changed, three missing, three extra rows, at both ends and in the midst."""
    expected = (
        [("changed-row", f"id={key}") for key in CHANGED]
        + [("missing-row", f"id={key}") for key in MISSING]
        + [("extra-row", f"id={key}") for key in EXTRA]
    )
    assert sorted(named(server, replace(OPTIONS, part=part))) == sorted(expected)


def test_no_more_rows_are_named_than_asked_for(server: Server) -> None:
    """Beyond the limit it is said that there are more, over all parts."""
    found = named(server, replace(OPTIONS, rows=3))
    assert [kind for kind, _ in found if kind.endswith("-row")].__len__() == 3
    assert found[-1] == ("content", "more than the 3 named")


class Counting(Cursor):
    """Counts what comes from the server, and keeps the largest texts."""

    pulled = 0
    texts: list[str] = []  # noqa: RUF012 (one list for all of them, on purpose)

    def fetchall(self) -> Any:
        rows = super().fetchall()
        Counting.pulled += len(rows)
        Counting.texts += [value for row in rows for value in row if isinstance(value, str)]
        return rows


def counting(connection: Connection[Any]) -> Connection[Any]:
    connection.cursorclass = Counting
    return connection


def test_nothing_but_sums_and_differing_keys_is_pulled(server: Server) -> None:
    """Of 200,000 rows none comes over the wire by its values, and a few thousand sums instead of rows."""
    Counting.pulled, Counting.texts = 0, []

    def connect() -> Connection[Any]:
        return counting(server.connect())

    differences = list(compare(connect, connect, {"big": "big_copy"}, options=replace(OPTIONS, part=10_000_000)))
    assert len(differences) == len(CHANGED | MISSING | EXTRA)
    assert Counting.pulled < ROWS / 10
    assert not [text for text in Counting.texts if text.startswith("code ") or text == "changed"]


def test_memory_is_bounded(server: Server) -> None:
    """Comparing 25 MB with 25 MB takes a few megabytes, on the serial executor, which hides nothing."""
    list(compare(server.connect, server.connect, {"tenant_0": "tenant_1"}))
    tracemalloc.start()
    try:
        assert named(server, executor=Serial())
        assert tracemalloc.get_traced_memory()[1] < 8 * MEGABYTE
    finally:
        tracemalloc.stop()


def test_differences_are_streamed(server: Server) -> None:
    """The first one is there before the last unit was begun."""
    submitted = 0

    class Watching(Serial):
        def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
            nonlocal submitted
            submitted += 1
            return super().submit(work, *arguments, **named)

    options = replace(OPTIONS, part=1_000)
    stream = compare(server.connect, server.connect, {"big": "big_copy"}, options=options, executor=Watching())
    next(stream)
    assert submitted < 30 < ROWS / options.part


def pairs() -> Mapping[str, str]:
    """Each tenant with its neighbour."""
    return {f"tenant_{number}": f"tenant_{number ^ 1}" for number in range(TENANTS)}


def test_the_executor_does_not_matter(server: Server) -> None:
    """Serial, threads and processes give the same differences in the same order."""
    for number in range(0, TENANTS, 7):
        server.run("DELETE FROM log LIMIT 1", "DROP TRIGGER IF EXISTS audited", database=f"tenant_{number}")
    with ThreadPoolExecutor(8) as threads, ProcessPoolExecutor(2) as processes:
        answers = [
            list(compare(server.connect, server.connect, pairs(), executor=executor))
            for executor in (Serial(), threads, processes, None)
        ]
    assert len(answers[0]) > TENANTS / 7
    assert answers[1:] == answers[:1] * 3


def test_a_manifest_of_a_large_table(server: Server) -> None:
    """What is read in one and in parts comes to the same sum."""
    manifest = snapshot(server.connect, ["big"], options=OPTIONS)
    assert list(compare(manifest, server.connect, options=OPTIONS, databases=["big"])) == []
    found = list(compare(manifest, server.connect, {"big": "big_copy"}, options=OPTIONS))
    assert [(one.kind, one.where) for one in found] == [("content", "which ones, a manifest does not tell")]
