"""What a server holds now, to be kept and compared with later."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_envdr.verify.database import accounts as grants
from pytest_envdr.verify.database import reading
from pytest_envdr.verify.database.connecting import Connections
from pytest_envdr.verify.database.manifest import Content, Database, Manifest
from pytest_envdr.verify.database.options import Options
from pytest_envdr.verify.database.planning import DATABASES, TABLES, chunks
from pytest_envdr.verify.database.reading import Table
from pytest_envdr.verify.database.work import databases as objects_of
from pytest_envdr.verify.spreading import WORKERS, spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from pytest_envdr.verify.database.connecting import Connect
    from pytest_envdr.verify.database.manifest import Names

__all__ = ["digests", "snapshot"]

WITHOUT_CHECK = Options(check=False)
"""A snapshot says what is there; whether its pages are sound is asked of the copy."""


@dataclass(frozen=True)
class _Read:
    """One unit: some tables, or the objects of some databases."""

    server: Connections
    options: Options

    def tables(self, some: Sequence[Table]) -> dict[Table, Content]:
        with self.server.lent() as session:
            return reading.contents(session, some, check=self.options.check)

    def objects(self, names: Mapping[str, Names]) -> dict[str, Database]:
        with self.server.lent() as session:
            return objects_of(session, dict(names))


def snapshot(
    connect: Connect,
    databases: Iterable[str] | None = None,
    *,
    executor: Executor | None = None,
    options: Options = WITHOUT_CHECK,
) -> Manifest:
    """All that a later comparison needs.

    Args:
        connect: opens a connection to the server; one is opened for each unit at work.
        databases: which of them, those that are not there are left out; None for all but the server's own.
        executor: where the units of work run; None for four threads.
        options: `check` and `accounts` are of use here. The rows of declared tables are digested too: what does not
            count is decided when comparing.

    Raises:
        pymysql.MySQLError: the server cannot be reached, or went away, or refuses to list what it has.
    """
    with ExitStack() as held:
        server = Connections(connect)
        held.callback(server.close)
        pool = executor or held.enter_context(ThreadPoolExecutor(WORKERS))
        with server.lent() as session:
            wanted = reading.databases(session) if databases is None else list(databases)
            names = reading.names(session, wanted)
            sizes = reading.sizes(session, names)
        read = _Read(server, options)
        found: dict[str, Database] = {}
        for some in spread(pool, read.objects, _databases(names)):
            found |= some
        for contents in spread(pool, read.tables, _tables(names, sizes, 2 * options.part)):
            for table, content in contents.items():
                found[table.database].tables[table.table] = content
        return Manifest(dict(sorted(found.items())), grants.of(server, options) if options.accounts else {})


def digests(
    connect: Connect,
    databases: Iterable[str] | None = None,
    *,
    executor: Executor | None = None,
    declared: Iterable[str] = (),
) -> dict[str, str]:
    """One short digest for each database, of definitions, routines, triggers, events, views and rows: what shows that
    neighbours were not touched. The rows of `declared` tables ("table" or "database.table") do not count.

    Raises:
        pymysql.MySQLError: as for `snapshot`.
    """
    options = Options(check=False, declared=frozenset(declared))
    manifest = snapshot(connect, databases, executor=executor, options=options)
    return {
        name: database.digest(without=frozenset(one for one in database.tables if options.is_declared(name, one)))
        for name, database in manifest.databases.items()
    }


def _databases(names: Mapping[str, Names]) -> Iterator[dict[str, Names]]:
    for some in chunks(sorted(names), DATABASES):
        yield {database: names[database] for database in some}


def _tables(names: Mapping[str, Names], sizes: Mapping[Table, int], limit: int) -> Iterator[Sequence[Table]]:
    """Small tables together, each large one by itself."""
    tables = [Table(database, table) for database in sorted(names) for table in sorted(names[database].tables)]
    large = [table for table in tables if sizes.get(table, 0) >= limit]
    yield from ([table] for table in large)
    yield from chunks([table for table in tables if sizes.get(table, 0) < limit], TABLES)
