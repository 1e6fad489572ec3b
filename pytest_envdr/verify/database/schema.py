"""What a database consists of besides rows, as texts that are compared line by line.

`SHOW CREATE` is the source: it has everything that makes a table what it is, for each version of the server, and opens
each table once. (`information_schema` takes several queries a table, some of them a hundred times slower.)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_envdr.verify.database.connecting import literal, name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_envdr.verify.database.connecting import Row, Session

AUTO_INCREMENT = re.compile(r"^(\) ENGINE=\S+) AUTO_INCREMENT=(\d+)", re.MULTILINE)
DEFINER = re.compile(r" DEFINER=(`(?:[^`]|``)*`@`(?:[^`]|``)*`)")
LABELS = (
    (re.compile(r"^  `((?:[^`]|``)+)` "), "column"),
    (re.compile(r"^  PRIMARY KEY"), "primary key"),
    (re.compile(r"^  (?:UNIQUE |FULLTEXT |SPATIAL )?KEY `((?:[^`]|``)+)`"), "index"),
    (re.compile(r"^  CONSTRAINT `((?:[^`]|``)+)`"), "constraint"),
    (re.compile(r"^\) ENGINE="), "options"),
    (re.compile(r"^  PERIOD FOR"), "period"),
)
OPTIONS = "SELECT schema_name, default_character_set_name, default_collation_name FROM information_schema.schemata"
ROUTINE = (
    *("db", "name", "type", "definer", "param_list", "returns", "body_utf8", "sql_data_access", "is_deterministic"),
    *("security_type", "sql_mode", "comment", "character_set_client", "collation_connection", "aggregate"),
)
EVENT = (
    *("db", "name", "definer", "body_utf8", "execute_at", "interval_value", "interval_field", "starts", "ends"),
    *("status", "on_completion", "sql_mode", "comment", "time_zone", "character_set_client", "collation_connection"),
)
TRIGGER = (
    *("name", "event", "table", "statement", "timing", "created", "sql_mode", "definer"),
    *("character_set_client", "collation_connection", "database_collation"),
)


def definition(created: str) -> tuple[str, int | None]:
    """A table's definition without its name and without the next AUTO_INCREMENT, which comes beside it."""
    body = created.split("\n", 1)[1] if "\n" in created else created
    found = AUTO_INCREMENT.search(body)
    text = "\n".join(line.removesuffix(",") for line in AUTO_INCREMENT.sub(r"\1", body).split("\n"))
    return text, int(found[2]) if found else None


def parts(definition: str) -> dict[str, str]:
    """A table's definition by what each line is about: {"column note": "`note` text", "index by_name": ...}."""
    found: dict[str, str] = {}
    for line in definition.split("\n"):
        label = next((_label(match, kind) for pattern, kind in LABELS if (match := pattern.match(line))), "partitions")
        found[label] = f"{found[label]}\n{line}" if label in found else line.strip()
    return found


def _label(match: re.Match[str], kind: str) -> str:
    return f"{kind} {match[1].replace('``', '`')}" if match.groups() else kind


def options(session: Session, databases: Iterable[str]) -> dict[str, str]:
    """Character set and collation of each database."""
    listed = ", ".join(literal(database) for database in databases)
    return {
        database: f"CHARACTER SET {charset} COLLATE {collation}"
        for database, charset, collation in session.rows(f"{OPTIONS} WHERE schema_name IN ({listed})")
    }


def routines(session: Session, databases: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """(database, "procedure refresh", definition) of each routine, from the table that holds them."""
    for row in _catalogue(session, "proc", ROUTINE, databases):
        database, routine, kind, *_ = row
        yield database, f"{str(kind).lower()} {routine}", _described(ROUTINE, row, skipped=3)


def events(session: Session, databases: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """(database, "event refresh", definition) of each event."""
    for row in _catalogue(session, "event", EVENT, databases):
        database, event, *_ = row
        yield database, f"event {event}", _described(EVENT, row, skipped=2)


def _catalogue(session: Session, table: str, columns: tuple[str, ...], databases: Iterable[str]) -> list[Row]:
    """Rows of a system table, as text. Its names are compared in binary, so that each database has its own."""
    wanted = list(databases)
    listed = ", ".join(literal(database) for database in wanted)
    quoted = ", ".join(name(column) for column in columns)
    rows = session.rows(f"SELECT {quoted} FROM mysql.{table} WHERE db IN ({listed}) ORDER BY db, name")  # noqa: S608
    return [row for row in (tuple(_plain(value) for value in row) for row in rows) if row[0] in wanted]


def triggers(session: Session, databases: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """(database, "trigger audited", definition) of each trigger. When it was made is none of it."""
    wanted = list(databases)
    answers = session.results(f"SHOW TRIGGERS FROM {name(database)}" for database in wanted)
    for database, rows in zip(wanted, answers, strict=True):
        for row in rows:
            plain = tuple("" if column == "created" else _plain(v) for column, v in zip(TRIGGER, row, strict=False))
            yield database, f"trigger {plain[0]}", _described(TRIGGER, plain, skipped=1)


def view(row: Row) -> str:
    """A view's definition from the answer to SHOW CREATE VIEW; its definer in a line of its own, as of the others."""
    created = str(row[1])
    definer = DEFINER.search(created)
    said = definer[1].replace("`", "") if definer else ""
    return f"definer: {said}\ncharacter_set_client: {row[2]}\nstatement: {DEFINER.sub('', created, count=1)}"


def _described(columns: tuple[str, ...], row: Row, *, skipped: int) -> str:
    said = list(zip(columns, row, strict=False))[skipped:]
    return "\n".join(f"{column}: {value}" for column, value in said if value not in ("", None))


def _plain(value: object) -> str | None:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="backslashreplace")
    return None if value is None else str(value)
