"""The digest of a table's rows, as an expression that the server computes.

Each row is written as one unambiguous text, of which the first 64 bits of the MD5 are taken; a table's digest is the
number of its rows and the sum of theirs. A sum does not depend on the order of the rows, may be added up from parts of
a table, and is not blind to what exclusive-or is blind to: the same edit in two rows, two equal rows exchanged for two
others. (A CRC32 is linear: the same edit in an even number of rows cancels out.)
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from pytest_envdr.verify.database.connecting import name

SEPARATOR = "_binary'#' COLLATE `binary`"
"""Explicitly binary, so that columns of character sets that cannot be mixed are put together byte by byte."""

LINE = re.compile(r"^  `((?:[^`]|``)+)` (\w+)(.*)$")
UNIQUE = re.compile(r"^  (?:PRIMARY KEY|UNIQUE KEY `(?:[^`]|``)+`) \((.*)\)")
COLUMN = re.compile(r"`((?:[^`]|``)+)`")
UNSTORED = re.compile(r"GENERATED ALWAYS AS (?:\(.*\) VIRTUAL|ROW START|ROW END)")

PLAIN = frozenset(
    {
        *("tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "double"),
        *("date", "time", "datetime", "timestamp", "year"),
    }
)
"""Printed exactly, and never with the separator in it."""
SHORT = frozenset({"char", "varchar", "tinytext", "enum", "set"})
SHORT_BINARY = frozenset({"binary", "varbinary", "tinyblob"})
PRINTED = frozenset({"uuid", "inet4", "inet6"})


@dataclass(frozen=True)
class Column:
    """A column as far as its value is concerned: its name, and the first word of its type, in lower case."""

    name: str
    type: str
    required: bool

    @property
    def quoted(self) -> str:
        return name(self.name)

    @property
    def value(self) -> str:
        """Its value, exact, never NULL but for a short text (whose length then tells)."""
        if self.type in PLAIN:
            return f"IFNULL({self.quoted},'N')"
        if self.type == "float":  # as text a FLOAT has six digits
            return f"IFNULL(CAST({self.quoted} AS DOUBLE),'N')"
        if self.type == "bit":
            return f"IFNULL(CAST({self.quoted} AS UNSIGNED),'N')"
        if self.type in PRINTED:
            return f"IFNULL(CAST({self.quoted} AS CHAR),'N')"
        if self.type in SHORT | SHORT_BINARY:
            return self.quoted
        # Long ones by their digest: a text longer than max_allowed_packet would become NULL without an error.
        return f"IFNULL(MD5({self.quoted}),'N')"

    @property
    def length(self) -> str | None:
        """What tells where its value ends, and '' from NULL; None where the value does."""
        return f"IFNULL(LENGTH({self.quoted}),'N')" if self.type in SHORT | SHORT_BINARY else None

    @property
    def shown(self) -> str:
        """Its value for people."""
        if self.type == "bit" or self.type in SHORT_BINARY or "blob" in self.type:
            return f"IFNULL(CONCAT('0x',HEX({self.quoted})),'NULL')"
        return f"IFNULL(CAST({self.quoted} AS CHAR CHARACTER SET utf8mb4),'NULL')"


@dataclass(frozen=True)
class Shape:
    """A table's columns whose values are stored, and those that tell one row from every other."""

    columns: tuple[Column, ...]
    key: tuple[Column, ...]

    @functools.cached_property
    def text(self) -> str:
        """A row as a text that no other row has: the values, then the lengths of those that might hold the
        separator."""
        values = [column.value for column in self.columns]
        lengths = [column.length for column in self.columns if column.length]
        return f"CONCAT_WS({SEPARATOR},{','.join(values + lengths)})"

    @functools.cached_property
    def digest(self) -> str:
        """64 bits of a row."""
        return f"CAST(CONV(LEFT(MD5({self.text}),16),16,10) AS UNSIGNED)"

    @functools.cached_property
    def key_digest(self) -> str:
        """128 bits of a row's key, as 32 hexadecimal digits."""
        return f"MD5({Shape(self.key, ()).text})"

    @functools.cached_property
    def counted(self) -> str | None:
        """The column by whose ranges a large table is divided: a key of one whole number."""
        whole = len(self.key) == 1 and self.key[0].type in {"int", "bigint", "mediumint"}
        return self.key[0].quoted if whole else None


@functools.lru_cache(maxsize=4096)
def shape(definition: str) -> Shape:
    """Read from a table's definition (see `schema.definition`)."""
    lines = definition.split("\n")
    columns = [
        Column(match[1].replace("``", "`"), match[2].lower(), " NOT NULL" in match[3])
        for line in lines
        if (match := LINE.match(line)) and not UNSTORED.search(match[3])
    ]
    return Shape(tuple(columns), _key(lines, {column.name: column for column in columns}))


def _key(lines: list[str], columns: dict[str, Column]) -> tuple[Column, ...]:
    """The primary key, else the first unique one without NULL; none where it is on a column that is not stored."""
    for line in sorted((line for line in lines if UNIQUE.match(line)), key=lambda line: "  PRIMARY" not in line):
        names = [quoted.replace("``", "`") for quoted in COLUMN.findall(line.split("(", 1)[1])]
        key = tuple(columns[one] for one in names if one in columns)
        if len(key) == len(names) and all(column.required for column in key):
            return key
    return ()


def summed(shape: Shape, table: str, where: str = "") -> str:
    """The statement for a table's number of rows and sum of digests; of the clustered index, not of another one that
    happens to have all columns."""
    hint = "" if where else " USE INDEX ()"
    total = f"SUM({shape.digest})" if shape.columns else "0"
    condition = f"{hint} WHERE {where}" if where else hint
    return f"SELECT COUNT(*), IFNULL({total}, 0) FROM {table}{condition}"  # noqa: S608 (names are quoted)
