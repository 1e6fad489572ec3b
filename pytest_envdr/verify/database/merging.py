"""The parts of a large table, put together again: one number of rows, and not more rows named than were asked for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytest_envdr.verify.database import judging
from pytest_envdr.verify.database.manifest import Content
from pytest_envdr.verify.database.work import beyond, unnamed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_envdr.verify.database.difference import Difference
    from pytest_envdr.verify.database.options import Options
    from pytest_envdr.verify.database.reading import Table
    from pytest_envdr.verify.database.work import Found, Part


@dataclass
class _Sum:
    """What the parts of one table have come to."""

    expected: Content = field(default_factory=Content)
    actual: Content = field(default_factory=Content)
    named: int = 0
    more: bool = False
    error: str = ""

    def add(self, found: Found) -> None:
        before, after = found.totals
        self.expected = _plus(self.expected, before)
        self.actual = _plus(self.actual, after)
        self.more = self.more or found.more
        self.error = self.error or found.error


def _plus(content: Content, total: tuple[int, int]) -> Content:
    return replace(content, rows=content.rows + total[0], total=content.total + total[1])


def merged(results: Iterable[Found], options: Options) -> Iterator[Difference]:
    """The differences of all units; of a table in parts its number of rows comes after the rows that differ."""
    sums: dict[Table, _Sum] = {}
    for found in results:
        if found.part is None:
            yield from found.differences
            continue
        table = found.part.pair[0]
        total = sums.setdefault(table, _Sum())
        total.add(found)
        room = max(options.rows - total.named, 0)
        yield from found.differences[:room]
        total.more = total.more or len(found.differences) > room
        total.named += min(len(found.differences), room)
        if found.part.last:
            yield from _whole(found.part, sums.pop(table))


def _whole(part: Part, total: _Sum) -> Iterator[Difference]:
    """What is said of a table when all of its parts are known."""
    table = part.pair[0]
    if total.error:
        yield judging.unreadable(table, total.error)
        return
    before = part.held or total.expected
    counts = list(judging.counts(table, before, total.actual))
    yield from counts
    emptied = not (before.rows and total.actual.rows)
    why = unnamed(part.shapes, live=part.held is None)
    if why and not counts and (before.rows, before.total) != (total.actual.rows, total.actual.total):
        yield judging.content(table, before, total.actual, why=why)
    elif total.more and not why and not emptied:
        yield judging.content(table, before, total.actual, why=beyond(total.named))
