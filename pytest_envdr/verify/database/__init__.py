"""Whether two MariaDB servers hold the same: two sources in, a stream of differences out; none means equal.

A source is a function that gives a connection, or a `Manifest` of what a server held. All digests are computed by the
servers: of rows that are equal nothing is pulled, and of those that differ their keys and the names of the columns.

No single check sees everything, so there are several, independent of one another:

- the names of databases, tables and views: a missing table is no error to any other check;
- definitions, grants, AUTO_INCREMENT: what no row shows;
- CHECK TABLE: damaged pages, those of secondary indexes too, which no query of rows need touch. Ask it right after the
  start of the server: of pages in memory it says how they are there;
- the number of rows, and a digest of 64 bits a row (see `content`).

CHECKSUM TABLE is not among them: it differs between equal tables with a stored generated column. What cannot be seen
over a connection: damage in pages that no row and no index uses.

The connections need what RDS's master user has: SELECT on everything (`mysql.proc`, `mysql.event` and `mysql.user`
too), SHOW VIEW, TRIGGER, EVENT, SHOW DATABASES. Nothing is written.

A comparison reads what is committed at the time, table by table. Two servers that are being written to differ;
compare a copy with the manifest of a snapshot, or stop the writers, or declare the tables (`Options.declared`).
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

from pytest_envdr.verify.database import accounts as grants
from pytest_envdr.verify.database import judging, planning, reading
from pytest_envdr.verify.database.connecting import Connections
from pytest_envdr.verify.database.difference import Difference, Kind
from pytest_envdr.verify.database.manifest import Content, Database, Manifest
from pytest_envdr.verify.database.merging import merged
from pytest_envdr.verify.database.options import Options
from pytest_envdr.verify.database.snapshots import digests, snapshot
from pytest_envdr.verify.database.work import Comparison
from pytest_envdr.verify.spreading import WORKERS, spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Executor

    from pytest_envdr.verify.database.connecting import Connect
    from pytest_envdr.verify.database.manifest import Names

__all__ = [
    "Content",
    "Database",
    "Difference",
    "Kind",
    "Manifest",
    "Options",
    "compare",
    "digests",
    "snapshot",
]

DEFAULTS = Options()


def compare(
    expected: Connect | Manifest,
    actual: Connect,
    databases: Mapping[str, str] | Iterable[str] | None = None,
    *,
    executor: Executor | None = None,
    options: Options = DEFAULTS,
) -> Iterator[Difference]:
    """The differences, as they are found, in an order that does not depend on the executor.

    Args:
        expected: what should be there: a server, or a manifest (then differing rows are counted but not named).
        actual: opens a connection to the server that is looked at. One is opened for each unit at work.
        databases: their names; a mapping from expected to actual names where those differ; None for all that either
            side has, but for the server's own.
        executor: where the units of work run; one of processes needs connecting functions that can be pickled. None
            for four threads: the server does the work, and more are no faster.
        options: what counts as a difference.

    Raises:
        pymysql.MySQLError: a server cannot be reached, or went away, or refuses to list what it has.
        UsageError: accounts are to be compared with a manifest that was made without.
    """
    with ExitStack() as held:
        there = Connections(actual)
        held.callback(there.close)
        here = expected if isinstance(expected, Manifest) else Connections(expected)
        if isinstance(here, Connections):
            held.callback(here.close)
        pool = executor or held.enter_context(ThreadPoolExecutor(WORKERS))
        pairs = _pairs(here, there, databases)
        names = _names(here, list(pairs)), _names(there, list(pairs.values()))
        for name, other in sorted(pairs.items()):
            yield from judging.names(name, names[0].get(name), names[1].get(other))
        if options.accounts:
            yield from judging.accounts(*(grants.of(side, options) for side in (here, there)))
        work = Comparison(here if isinstance(here, Connections) else None, there, options)
        units = planning.units(pairs, names, here, there, options)
        yield from merged(spread(pool, work, units), options)


def _pairs(
    here: Connections | Manifest, there: Connections, databases: Mapping[str, str] | Iterable[str] | None
) -> dict[str, str]:
    if isinstance(databases, Mapping):
        return dict(databases)
    if databases is not None:
        return {name: name for name in databases}
    with there.lent() as session:
        found = set(reading.databases(session))
    if isinstance(here, Manifest):
        return {name: name for name in found | set(here.databases)}
    with here.lent() as session:
        return {name: name for name in found | set(reading.databases(session))}


def _names(side: Connections | Manifest, databases: list[str]) -> dict[str, Names]:
    if isinstance(side, Manifest):
        return {name: side.databases[name].names for name in databases if name in side.databases}
    with side.lent() as session:
        return reading.names(session, databases)
