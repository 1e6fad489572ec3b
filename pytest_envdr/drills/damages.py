"""How a tenant's data is damaged on purpose: statements that do to its database what bugs and people do.

They choose their table themselves, so that they fit any schema: the fullest that no other writes to meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from pytest_envdr.errors import Refused
from pytest_envdr.mariadb import quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pymysql.cursors import Cursor

Damage = Literal["rows deleted", "rows overwritten", "table dropped", "database dropped"]
DAMAGES: tuple[Damage, ...] = get_args(Damage)

NUMBERS = ("tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double")
TEXTS = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext")


@dataclass(frozen=True)
class Planned:
    """What will be done: `statements` in order, and in words what they do."""

    statements: tuple[str, ...]
    words: str


def plan(cursor: Cursor, database: str, damage: Damage, *, spared: Collection[str]) -> Planned:
    """The statements of a damage to a database; nothing is changed yet.

    Args:
        cursor: asks the server.
        database: which.
        damage: what kind.
        spared: tables that are left alone, because others write to them meanwhile.

    Raises:
        Refused: there is nothing in it that could be damaged so.
    """
    if damage == "database dropped":
        return Planned((f"DROP DATABASE {quoted(database)}",), f"database {database} dropped")
    table, rows = _fullest(cursor, database, spared)
    name = f"{quoted(database)}.{quoted(table)}"
    unchecked = "SET foreign_key_checks = 0"
    if damage == "table dropped":
        return Planned((unchecked, f"DROP TABLE {name}"), f"table {table} with {rows} rows dropped")
    if damage == "rows deleted":
        statement = f"DELETE FROM {name}"  # noqa: S608 (quoted names)
        return Planned((unchecked, statement), f"all {rows} rows of {table} deleted")
    column, value = _overwritable(cursor, database, table)
    statement = f"UPDATE {name} SET {quoted(column)} = {value}"  # noqa: S608 (quoted names)
    return Planned((unchecked, statement), f"{column} of all {rows} rows of {table} overwritten")


def _fullest(cursor: Cursor, database: str, spared: Collection[str]) -> tuple[str, int]:
    """The table with the most rows, of those where the damage can be of any kind."""
    cursor.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_type = 'BASE TABLE'",
        (database,),
    )
    counts: dict[str, int] = {}
    for (table,) in cursor.fetchall():
        if table not in spared and _columns(cursor, database, table):
            cursor.execute(f"SELECT COUNT(*) FROM {quoted(database)}.{quoted(table)}")  # noqa: S608 (quoted names)
            counts[table] = int((cursor.fetchone() or (0,))[0])
    fullest = max(counts, key=counts.__getitem__, default="")
    if not counts.get(fullest):
        raise Refused(f"Nothing was touched: there are no rows in {database} that could be damaged.")
    return fullest, counts[fullest]


def _overwritable(cursor: Cursor, database: str, table: str) -> tuple[str, str]:
    """A column, and what to put into it, so that every row is another one."""
    column, kind = _columns(cursor, database, table)[0]
    return column, _NEW[kind](quoted(column))


def _columns(cursor: Cursor, database: str, table: str) -> list[tuple[str, str]]:
    """The columns that no key holds and no expression makes, with their kind."""
    cursor.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
        " AND column_key = '' AND extra NOT LIKE '%%GENERATED%%' AND extra NOT LIKE '%%on update%%'"
        " ORDER BY ordinal_position",
        (database, table),
    )
    kinds = {**dict.fromkeys(NUMBERS, "number"), **dict.fromkeys(TEXTS, "text")}
    return [(column, kinds[data_type]) for column, data_type in cursor.fetchall() if data_type in kinds]


_NEW: dict[str, Callable[[str], str]] = {
    "number": lambda column: f"IF({column} = 0 OR {column} IS NULL, 1, 0)",
    "text": lambda column: f"IF({column} = 'x', 'y', 'x')",
}
"""Kind of column -> an expression that differs from what was there in every row, NULL too, and fits every length."""
