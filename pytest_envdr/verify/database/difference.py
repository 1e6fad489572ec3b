"""What a comparison finds: one difference, in a form for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Difference", "Kind"]

Kind: TypeAlias = Literal[
    "missing-database",
    "extra-database",
    "missing-table",
    "extra-table",
    "schema",
    "view",
    "routine",
    "trigger",
    "event",
    "grant",
    "row-count",
    "content",
    "missing-row",
    "extra-row",
    "changed-row",
    "check",
    "unreadable",
]
"""What differs.

`schema` is a column, an index, a constraint, a table's or a database's option. `content`: the rows differ, and which
ones cannot be told (no key, or the other side is a manifest) or are more than were asked for. `check`: CHECK TABLE
found damage, which need not show in any row. `unreadable`: the server answered with an error instead of data.
"""

SENTENCES: dict[Kind, str] = {
    "missing-database": "{at} is missing",
    "extra-database": "{at} is there and should not be",
    "missing-table": "{at} is missing",
    "extra-table": "{at} is there and should not be",
    "schema": "{at}: {where} is {actual}, expected {expected}",
    "view": "{at}: view {where} is {actual}, expected {expected}",
    "routine": "{at}: {where} is {actual}, expected {expected}",
    "trigger": "{at}: trigger {where} is {actual}, expected {expected}",
    "event": "{at}: event {where} is {actual}, expected {expected}",
    "grant": "Account {where} has {actual}, expected {expected}",
    "row-count": "{at} has {actual} rows, expected {expected}",
    "content": "{at}: rows differ{within}: digest {actual}, expected {expected}",
    "missing-row": "{at}: row {where} is missing",
    "extra-row": "{at}: row {where} is there and should not be",
    "changed-row": "{at}: row {where} has changed in {actual}",
    "check": "{at}: CHECK TABLE says {actual}",
    "unreadable": "{at}{within} cannot be read: {actual}",
}


@dataclass(frozen=True, order=True)
class Difference:
    """One thing that is not as expected. No value of a row is in it, but for those of its key.

    Attributes:
        database: by its name in the expected source; "" for what belongs to the whole server.
        table: the table; "" for what belongs to the whole database.
        where: what within it: "column note", "index by_name", a routine's name, a row's key ("id=17"), an account.
        kind: see `Kind`.
        expected: what was there, in words; "" where the kind says it all.
        actual: what is there now; of a changed row, the names of the columns that changed.
    """

    database: str
    table: str
    where: str
    kind: Kind
    expected: str = ""
    actual: str = ""

    def __str__(self) -> str:
        """One plain sentence."""
        at = f"Table {self.database}.{self.table}" if self.table else f"Database {self.database}"
        within = f" ({self.where})" if self.where else ""
        sentence = SENTENCES[self.kind].format(
            at=at, where=self.where, within=within, expected=self.expected, actual=self.actual
        )
        return f"{sentence}."
