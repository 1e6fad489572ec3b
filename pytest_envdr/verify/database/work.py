"""The units of work: what one of them asks both servers, and makes of the answers.

A unit is some fifty tables, or the views, routines, triggers and events of some databases, or a key range of a large
table. None needs another's result, so they run wherever an executor runs them.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from pytest_envdr.verify.database import judging, reading, rows
from pytest_envdr.verify.database.content import Shape, shape, summed
from pytest_envdr.verify.database.difference import Difference
from pytest_envdr.verify.database.manifest import Content, Database
from pytest_envdr.verify.database.reading import Table
from pytest_envdr.verify.database.schema import options as database_options

if TYPE_CHECKING:
    from pytest_envdr.verify.database.connecting import Connections, Session
    from pytest_envdr.verify.database.manifest import Names
    from pytest_envdr.verify.database.options import Options

Pair: TypeAlias = tuple[Table, Table]
"""A table by its names on the expected and on the actual side."""


@dataclass(frozen=True)
class Tables:
    """Whole tables. `held`: what a manifest holds of them, by their expected names. `rows`: not only definitions."""

    pairs: tuple[Pair, ...]
    held: dict[Table, Content] | None = None
    rows: bool = True


@dataclass(frozen=True)
class Part:
    """A part of a large table, by a condition on its key. `last`: no other part of it follows."""

    pair: Pair
    shapes: tuple[Shape, Shape]
    where: str
    last: bool
    held: Content | None = None


@dataclass(frozen=True)
class Objects:
    """What databases have besides tables: pairs of their names; their views by actual name, and by expected name."""

    pairs: tuple[tuple[str, str], ...]
    views: tuple[dict[str, Names], dict[str, Names]]
    held: dict[str, Database] | None = None


Total: TypeAlias = tuple[int, int]
"""A number of rows, and the sum of their digests."""
NOTHING: Total = (0, 0)
Unit: TypeAlias = Tables | Part | Objects


@dataclass
class Found:
    """What a unit found. Of a part also which it was, (rows, total) on both sides, whether rows that differ were left
    out, and why it could not be read."""

    differences: list[Difference] = field(default_factory=list)
    part: Part | None = None
    totals: tuple[Total, Total] = (NOTHING, NOTHING)
    more: bool = False
    error: str = ""


@dataclass(frozen=True)
class Comparison:
    """Two servers, or one to be compared with what a manifest holds (`expected` is None)."""

    expected: Connections | None
    actual: Connections
    options: Options

    def __call__(self, unit: Unit) -> Found:
        """Do one unit."""
        with ExitStack() as held:
            actual = held.enter_context(self.actual.lent())
            expected = held.enter_context(self.expected.lent()) if self.expected else None
            if isinstance(unit, Tables):
                return self._tables(unit, expected, actual)
            if isinstance(unit, Part):
                return self._part(unit, expected, actual)
            return self._objects(unit, expected, actual)

    def _tables(self, unit: Tables, expected: Session | None, actual: Session) -> Found:
        here = [pair[1] for pair in unit.pairs]
        now = reading.contents(actual, here, check=self.options.check, total=unit.rows)
        before = unit.held or {}
        if expected:
            before = reading.contents(expected, [pair[0] for pair in unit.pairs], check=False, total=unit.rows)
        found = Found()
        for pair in unit.pairs:
            one, other = before[pair[0]], now[pair[1]]
            found.differences += judging.definition(pair, one, other, self.options)
            if unit.rows and not (one.error or other.error or self.options.is_declared(*pair[0])):
                found.differences += self._rows(pair, (one, other), expected, actual)
        return found

    def _rows(
        self, pair: Pair, contents: tuple[Content, Content], expected: Session | None, actual: Session
    ) -> list[Difference]:
        """The rows of a table that was read in one."""
        shapes = (shape(contents[0].definition), shape(contents[1].definition))
        if shapes[0] != shapes[1] and expected:
            shapes = shared(*shapes)
            contents = (_summed(expected, pair[0], shapes[0]), _summed(actual, pair[1], shapes[1]))
        if (contents[0].rows, contents[0].total) == (contents[1].rows, contents[1].total):
            return []
        found = list(judging.counts(pair[0], *contents))
        if not min(one.rows for one in contents):
            return found
        why = unnamed(shapes, live=expected is not None)
        if expected is None or why:
            return found if found else [judging.content(pair[0], *contents, why=why)]
        sides = rows.Side(expected, pair[0].quoted, shapes[0]), rows.Side(actual, pair[1].quoted, shapes[1])
        named, more = rows.differing(sides, count=max(one.rows for one in contents), limit=self.options.rows)
        found += [replace(one, database=pair[0].database, table=pair[0].table) for one in named]
        return [*found, judging.content(pair[0], *contents, why=beyond(len(named)))] if more else found

    def _part(self, unit: Part, expected: Session | None, actual: Session) -> Found:
        table = unit.pair[0]
        totals = [
            reading.attempt(partial(_total, session, summed(columns, one.quoted, unit.where))) if session else NOTHING
            for session, one, columns in zip((expected, actual), unit.pair, unit.shapes, strict=True)
        ]
        before, now = ((0, 0) if isinstance(one, str) else one for one in totals)
        error = next((one for one in totals if isinstance(one, str)), "")
        # Of a table that is in one part, an empty side says it all; a part may well be empty.
        emptied = not (unit.where or min(before[0], now[0]))
        if error or expected is None or before == now or emptied or unnamed(unit.shapes, live=True):
            return Found([], unit, (before, now), before != now, error)
        both = zip((expected, actual), unit.pair, unit.shapes, strict=True)
        one, other = (rows.Side(session, side.quoted, columns, unit.where) for session, side, columns in both)
        named, more = rows.differing((one, other), count=max(before[0], now[0]), limit=self.options.rows)
        found = [replace(one, database=table.database, table=table.table) for one in named]
        return Found(found, unit, (before, now), more)

    def _objects(self, unit: Objects, expected: Session | None, actual: Session) -> Found:
        now = databases(actual, unit.views[1])
        before = databases(expected, unit.views[0]) if expected else (unit.held or {})
        found = Found()
        broken = self._broken_views(actual, unit)
        for name, copy in unit.pairs:
            one, other = before[name], now[copy]
            if one.options != other.options:
                found.differences.append(Difference(name, "", "options", "schema", one.options, other.options))
            missing = {f"view {view}" for view in _views(one) ^ _views(other)}
            texts = [
                {label: text for label, text in side.objects.items() if label not in missing} for side in (one, other)
            ]
            found.differences += judging.objects((name, copy), texts[0], texts[1], self.options)
            found.differences += [
                Difference(name, view.table, "", "check", actual=judging.brief(said))
                for view, said in broken.items()
                if view.database == copy
            ]
        return found

    def _broken_views(self, actual: Session, unit: Objects) -> dict[Table, str]:
        """Views that read what is not there, or no longer as it was."""
        if not self.options.check:
            return {}
        views = [Table(name, view) for name, one in unit.views[1].items() for view in sorted(one.views)]
        return reading.checked(actual, views)


def _views(database: Database) -> set[str]:
    return {label.removeprefix("view ") for label in database.objects if label.startswith("view ")}


def databases(session: Session, names: dict[str, Names]) -> dict[str, Database]:
    """What databases have besides tables."""
    options = database_options(session, names)
    objects = reading.objects(session, names, {database: one.views for database, one in names.items()})
    return {database: Database(options.get(database, ""), {}, objects[database]) for database in names}


def shared(expected: Shape, actual: Shape) -> tuple[Shape, Shape]:
    """Both without the columns that only one of them has: what is left of the rows can still be compared."""
    common = {column.name for column in expected.columns} & {column.name for column in actual.columns}
    one, other = (
        Shape(tuple(sorted((one for one in side.columns if one.name in common), key=lambda one: one.name)), side.key)
        for side in (expected, actual)
    )
    same = [column.name for column in one.key] == [column.name for column in other.key]
    kept = same and {column.name for column in one.key} <= common
    return (one, other) if kept else (Shape(one.columns, ()), Shape(other.columns, ()))


def _summed(session: Session, table: Table, columns: Shape) -> Content:
    [(count, total)] = reading.totals(session, [summed(columns, table.quoted)])
    return Content(rows=count, total=total)


def _total(session: Session, statement: str) -> Total:
    return reading.totals(session, [statement])[0]


def unnamed(shapes: tuple[Shape, Shape], *, live: bool) -> str:
    """Why rows cannot be named, or ""."""
    if not live:
        return "which ones, a manifest does not tell"
    if not (shapes[0].key and shapes[1].key):
        return "no key tells its rows apart"
    return ""


def beyond(named: int) -> str:
    """What a difference says of the rows that were not named."""
    return f"more than the {named} named"
