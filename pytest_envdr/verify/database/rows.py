"""Which rows of a table differ, found without pulling those that do not.

Each server divides its rows into buckets by a digest of their key, and sums up each bucket. Only those that differ are
divided again, and in the end only the keys and digests of a handful of rows are pulled from each side. Buckets of a
digest take any key: of several columns, of text in any collation, with gaps of any size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_envdr.verify.database.content import Shape
from pytest_envdr.verify.database.difference import Difference

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_envdr.verify.database.connecting import Row, Session
    from pytest_envdr.verify.database.difference import Kind

FEW = 16
"""How many rows a bucket may have for their digests to be pulled."""
DIGITS = 3
"""Hexadecimal digits by which a bucket is divided at most: 4096 sums a side are held at a time."""
KEY_DIGITS = 32
SHOWN = 120


@dataclass(frozen=True)
class Side:
    """A table on one of the servers, with its columns; `where` is the part of it that is looked at, "" for all."""

    session: Session
    table: str
    shape: Shape
    where: str = ""

    def rows(self, columns: str, condition: str = "", *, group: str = "") -> list[Row]:
        conditions = " AND ".join(one for one in (self.where, condition) if one)
        where = f" WHERE {conditions}" if conditions else ""
        return self.session.rows(f"SELECT {columns} FROM {self.table}{where}{group}")  # noqa: S608 (quoted)


@dataclass(frozen=True)
class Buckets:
    """Rows by the first hexadecimal digits of their key's digest; `prefixes`: those that are left."""

    digits: int = 0
    prefixes: tuple[str, ...] = ()

    def of(self, side: Side) -> str:
        return f"LEFT({side.shape.key_digest},{self.digits})"

    def condition(self, side: Side) -> str:
        if not self.digits:
            return ""
        return f"{self.of(side)} IN ({_listed(self.prefixes)})" if self.prefixes else "FALSE"


def differing(sides: tuple[Side, Side], *, count: int, limit: int) -> tuple[list[Difference], bool]:
    """The rows that differ, named by their key, at most `limit`, and whether there are more.

    Args:
        sides: expected and actual; both have a key.
        count: how many rows there are, about.
        limit: how many to name.
    """
    buckets, more = _narrowed(sides, count, limit)
    expected, actual = ({row[0]: row for row in _pulled(side, buckets)} for side in sides)
    odd = [key for key in sorted({*expected, *actual}) if _digest(expected, key) != _digest(actual, key)]
    named = odd[:limit]
    changed = _changed_columns(sides, [key for key in named if key in expected and key in actual])
    found = [_difference(sides[0].shape, expected.get(key), actual.get(key), changed.get(key, "")) for key in named]
    return sorted(found), more or len(odd) > limit


def _pulled(side: Side, buckets: Buckets) -> list[Row]:
    """Key digest, digest and key of the rows that are left."""
    shown = ", ".join(column.shown for column in side.shape.key)
    return side.rows(f"{side.shape.key_digest}, {side.shape.digest}, {shown}", buckets.condition(side))


def _digest(rows: dict[str, Row], key: str) -> int | None:
    return int(rows[key][1]) if key in rows else None


def _narrowed(sides: tuple[Side, Side], count: int, limit: int) -> tuple[Buckets, bool]:
    """The buckets that differ, and whether some of them were left out."""
    buckets, more = Buckets(), False
    while count > FEW and buckets.digits < KEY_DIGITS:
        step = next(step for step in range(1, DIGITS + 1) if step == DIGITS or count <= FEW * 16**step // 4)
        finer = replace(buckets, digits=buckets.digits + step)
        expected, actual = (_sums(side, finer, buckets) for side in sides)
        odd = [one for one in sorted({*expected, *actual}) if expected.get(one) != actual.get(one)]
        more = more or len(odd) > limit
        buckets = replace(finer, prefixes=tuple(odd[:limit]))
        count = max((side.get(one, (0, 0))[0] for side in (expected, actual) for one in odd[:limit]), default=0)
    return buckets, more


def _sums(side: Side, finer: Buckets, within: Buckets) -> dict[str, tuple[int, int]]:
    columns = f"{finer.of(side)} AS bucket, COUNT(*), SUM({side.shape.digest})"
    rows = side.rows(columns, within.condition(side), group=" GROUP BY bucket")
    return {row[0]: (int(row[1]), int(row[2])) for row in rows}


def _listed(digests: Iterable[str]) -> str:
    return ", ".join(f"'{digest}'" for digest in digests)


def _changed_columns(sides: tuple[Side, Side], keys: Sequence[str]) -> dict[str, str]:
    """The names of the columns in which each row differs, told by digests of the values."""
    if not keys:
        return {}
    expected, actual = (_column_digests(side, keys) for side in sides)
    return {
        key: ", ".join(column for column, digest in expected[key].items() if actual[key].get(column) != digest)
        for key in keys
        if key in expected and key in actual
    }


def _column_digests(side: Side, keys: Sequence[str]) -> dict[str, dict[str, str]]:
    shape = side.shape
    values = ", ".join(f"MD5({Shape((column,), ()).text})" for column in shape.columns)
    rows = side.rows(f"{shape.key_digest}, {values}", f"{shape.key_digest} IN ({_listed(keys)})")
    names = [column.name for column in shape.columns]
    return {row[0]: dict(zip(names, row[1:], strict=True)) for row in rows}


def _difference(shape: Shape, expected: Row | None, actual: Row | None, columns: str) -> Difference:
    """Without the table's names, which the caller fills in."""
    kind: Kind = "extra-row" if expected is None else "missing-row" if actual is None else "changed-row"
    values = (expected or actual or ())[2:]
    where = ", ".join(f"{column.name}={_brief(value)}" for column, value in zip(shape.key, values, strict=True))
    return Difference("", "", where, kind, actual=columns if kind == "changed-row" else "")


def _brief(value: object) -> str:
    text = str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def least_and_greatest(session: Session, table: str, column: str) -> tuple[int, int] | None:
    """The bounds of a key; None of an empty table."""
    [(least, greatest)] = session.rows(f"SELECT MIN({column}), MAX({column}) FROM {table}")  # noqa: S608 (quoted)
    return None if least is None else (int(least), int(greatest))


def ranges(column: str, bounds: tuple[int, int], pieces: int) -> list[str]:
    """Conditions that divide a table by its key, the first and the last open-ended."""
    least, greatest = bounds
    width = max(1, (greatest - least + 1) // pieces)
    cuts = [least + width * number for number in range(1, pieces)]
    starts: list[int | None] = [None, *cuts]
    ends: list[int | None] = [*cuts, None]
    return [
        " AND ".join(part for part in (_bound(column, ">=", start), _bound(column, "<", end)) if part) or "TRUE"
        for start, end in zip(starts, ends, strict=True)
    ]


def _bound(column: str, operator: str, value: int | None) -> str:
    return "" if value is None else f"{column} {operator} {value}"
