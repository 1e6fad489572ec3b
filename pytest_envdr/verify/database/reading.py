"""Reading many tables in few round trips, and each by itself where one of them cannot be read.

A table is opened from disk when it is first asked for, which on a restored server is most of the work. So all that is
asked of some fifty tables is asked at once, CHECK TABLE first: pages that are in memory it would not read from disk.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pytest_envdr.verify.database import schema
from pytest_envdr.verify.database.connecting import literal, name
from pytest_envdr.verify.database.content import shape, summed
from pytest_envdr.verify.database.manifest import Content, Names

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from pytest_envdr.verify.database.connecting import Row, Session

T = TypeVar("T")

SYSTEM = frozenset({"mysql", "information_schema", "performance_schema", "sys", "innodb"})
"""Databases that are the server's own (`innodb`: RDS's)."""
SCAN_FROM = 8
"""As many databases make one look at the whole catalogue cheaper than one look at each."""
DAMAGE = frozenset({"error", "warning", "Error", "Warning"})


class Table(NamedTuple):
    """A table by its names."""

    database: str
    table: str

    @property
    def quoted(self) -> str:
        return f"{name(self.database)}.{name(self.table)}"


def databases(session: Session) -> list[str]:
    """The names of all databases but the server's own, sorted."""
    return sorted(row[0] for row in session.rows("SHOW DATABASES") if row[0].lower() not in SYSTEM)


def names(session: Session, wanted: Collection[str]) -> dict[str, Names]:
    """Tables and views of those databases that are there."""
    there = set(databases(session)) & set(wanted)
    found: dict[str, dict[str, str]] = {database: {} for database in there}
    query = "SELECT table_schema, table_name, table_type FROM information_schema.tables"
    if len(there) < SCAN_FROM:
        conditions = [f" WHERE table_schema = {literal(database)}" for database in sorted(there)]
    else:
        conditions = [""]
    for condition in conditions:
        for database, table, kind in session.rows(query + condition):
            if database in found:
                found[database][table] = kind
    return {database: _names(kinds) for database, kinds in found.items()}


def _names(kinds: dict[str, str]) -> Names:
    views = frozenset(table for table, kind in kinds.items() if "VIEW" in kind)
    return Names(frozenset(kinds) - views, views)


def sizes(session: Session, wanted: Collection[str]) -> dict[Table, int]:
    """About how many rows each InnoDB table has, for planning only; {} where the server does not say."""
    found = attempt(lambda: session.rows("SELECT database_name, table_name, n_rows FROM mysql.innodb_table_stats"))
    if isinstance(found, str):
        return {}
    return {Table(database, table): rows for database, table, rows in found if database in wanted}


def contents(session: Session, tables: Sequence[Table], *, check: bool, total: bool = True) -> dict[Table, Content]:
    """Definition, rows and digest of each table; with `check`, what CHECK TABLE says of it."""
    problems = checked(session, tables) if check else {}
    found = _definitions(session, tables)
    readable = [table for table in tables if not found[table].error]
    sums = _totals(session, readable, found) if total else {}
    return {table: _whole(found[table], problems.get(table, ""), sums.get(table)) for table in tables}


def _whole(content: Content, problem: str, total: tuple[int, int] | str | None) -> Content:
    if isinstance(total, str):
        return replace(content, problem=problem, error=total)
    rows, digests = total or (0, 0)
    return replace(content, problem=problem, rows=rows, total=digests)


def checked(session: Session, tables: Sequence[Table]) -> dict[Table, str]:
    """What CHECK TABLE says of those tables and views that it does not find in order."""
    said: dict[str, list[Row]] = defaultdict(list)
    for row in session.rows(f"CHECK TABLE {', '.join(table.quoted for table in tables)}") if tables else []:
        said[row[0]].append(row)
    return {table: problem for table in tables if (problem := _problem(said[f"{table.database}.{table.table}"]))}


def _problem(said: list[Row]) -> str:
    """The last row is the verdict; a warning before an OK is none (a table that was not closed, and is in order)."""
    if not said:
        return "nothing"
    if said[-1][3] == "OK" or said[-1][2] == "note":
        return ""
    return "; ".join(dict.fromkeys(str(text) for _, _, kind, text in said if kind in DAMAGE or text != "OK"))


def _definitions(session: Session, tables: Sequence[Table]) -> dict[Table, Content]:
    answers = _each(
        tables,
        lambda some: session.results(f"SHOW CREATE TABLE {table.quoted}" for table in some),
    )
    return {table: _defined(answer) for table, answer in answers.items()}


def _defined(answer: list[Row] | str) -> Content:
    if isinstance(answer, str):
        return Content(error=answer)
    text, increment = schema.definition(str(answer[0][1]))
    return Content(definition=text, auto_increment=increment)


def _totals(
    session: Session, tables: Sequence[Table], found: dict[Table, Content]
) -> dict[Table, tuple[int, int] | str]:
    def ask(some: Sequence[Table]) -> list[tuple[int, int]]:
        return totals(session, [summed(shape(found[table].definition), table.quoted) for table in some])

    return _each(tables, ask)


def totals(session: Session, statements: Sequence[str]) -> list[tuple[int, int]]:
    """The answers to statements for a number of rows and a sum (see `content.summed`), in one round trip.

    Raises:
        pymysql.MySQLError: one of them failed.
    """
    numbered = (f"SELECT {number},{statement.removeprefix('SELECT')}" for number, statement in enumerate(statements))
    rows = session.rows(" UNION ALL ".join(numbered))
    return [(int(count), int(total)) for _, count, total in sorted(rows)]


def _each(tables: Sequence[Table], ask: Callable[[Sequence[Table]], Sequence[T]]) -> dict[Table, T | str]:
    """The answer for each table: asked all together, and where that fails one by one, the error's text for those that
    fail again."""
    if not tables:
        return {}
    together = attempt(lambda: ask(tables))
    if not isinstance(together, str):
        return dict(zip(tables, together, strict=True))
    answers: dict[Table, T | str] = {}
    for table in tables:
        alone = attempt(lambda table=table: ask([table]))  # type: ignore[misc]  # mypy infers no type for the default
        answers[table] = alone if isinstance(alone, str) else alone[0]
    return answers


def attempt(ask: Callable[[], T]) -> T | str:
    """The answer, or the server's error in words.

    Raises:
        pymysql.OperationalError: the connection is gone, which says nothing about what was asked.
    """
    import pymysql  # noqa: PLC0415 (a run that verifies no database does not load it)

    try:
        return ask()
    except (pymysql.InterfaceError, pymysql.MySQLError) as error:
        if is_lost(error):
            raise
        return f"{error.args[0]}: {error.args[-1]}"


LOST = frozenset({0, 1053, 1927, 2006, 2013, 2055})
"""Client and server errors after which there is no connection any more."""


def is_lost(error: Exception) -> bool:
    """Whether an error of PyMySQL's means that the connection is gone."""
    return not error.args or error.args[0] in LOST


def objects(session: Session, wanted: Iterable[str], views: dict[str, frozenset[str]]) -> dict[str, dict[str, str]]:
    """Definitions of views, routines, triggers and events of each database."""
    listed = list(wanted)
    found: dict[str, dict[str, str]] = {database: {} for database in listed}
    seen = [Table(database, one) for database in listed for one in sorted(views.get(database, ()))]
    answers = _each(seen, lambda some: session.results(f"SHOW CREATE VIEW {one.quoted}" for one in some))
    for one, answer in answers.items():
        found[one.database][f"view {one.table}"] = answer if isinstance(answer, str) else schema.view(answer[0])
    for source in (schema.routines, schema.triggers, schema.events):
        for database, label, text in source(session, listed):
            found[database][label] = text
    return found
