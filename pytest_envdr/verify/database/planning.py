"""What there is to do, as units: small tables together, large ones in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pytest_envdr.verify.database import reading, rows
from pytest_envdr.verify.database.content import shape
from pytest_envdr.verify.database.manifest import Manifest
from pytest_envdr.verify.database.reading import Table
from pytest_envdr.verify.database.work import Objects, Pair, Part, Tables, shared

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from pytest_envdr.verify.database.connecting import Connections, Session
    from pytest_envdr.verify.database.content import Shape
    from pytest_envdr.verify.database.manifest import Content, Names
    from pytest_envdr.verify.database.options import Options
    from pytest_envdr.verify.database.work import Unit

T = TypeVar("T")

TABLES = 50
"""Tables in one unit: enough that a round trip does not count, few enough to stay in the server's table cache."""
DATABASES = 50


def units(
    databases: Mapping[str, str],
    names: tuple[Mapping[str, Names], Mapping[str, Names]],
    expected: Connections | Manifest,
    actual: Connections,
    options: Options,
) -> Iterator[Unit]:
    """All that is to be compared, in an order that depends on the names alone.

    Args:
        databases: by their names on the expected side, their names on the actual side.
        names: what each side consists of, by its own names.
        expected: a server, or a manifest.
        actual: the server that is looked at.
        options: what counts.
    """
    common = [(one, other) for one, other in sorted(databases.items()) if one in names[0] and other in names[1]]
    yield from _objects(common, names, expected)
    pairs = [
        (Table(one, table), Table(other, table))
        for one, other in common
        for table in sorted(names[0][one].tables & names[1][other].tables)
    ]
    large = _large(pairs, expected, actual, options)
    yield from _tables([pair for pair in pairs if pair[0] not in large], expected, rows=True)
    yield from _tables([pair for pair in pairs if pair[0] in large], expected, rows=False)
    for pair in pairs:
        if pair[0] in large:
            yield from _parts(pair, -(-large[pair[0]] // options.part), expected, actual)


def _objects(
    common: Sequence[tuple[str, str]],
    names: tuple[Mapping[str, Names], Mapping[str, Names]],
    expected: Connections | Manifest,
) -> Iterator[Objects]:
    for some in chunks(common, DATABASES):
        views = {one: names[0][one] for one, _ in some}, {other: names[1][other] for _, other in some}
        manifest = _manifest(expected)
        held = {one: manifest.databases[one] for one, _ in some} if manifest else None
        yield Objects(tuple(some), views, held)


def _tables(pairs: Sequence[Pair], expected: Connections | Manifest, *, rows: bool) -> Iterator[Tables]:
    for some in chunks(pairs, TABLES):
        manifest = _manifest(expected)
        held = {pair[0]: _content(manifest, pair[0]) for pair in some} if manifest else None
        yield Tables(tuple(some), held, rows)


def _large(
    pairs: Collection[Pair], expected: Connections | Manifest, actual: Connections, options: Options
) -> dict[Table, int]:
    """Tables that are divided, with about the number of their rows."""
    with actual.lent() as session:
        sizes = reading.sizes(session, {pair[1].database for pair in pairs})
    manifest = _manifest(expected)
    found = {}
    for pair in pairs:
        size = max(sizes.get(pair[1], 0), _content(manifest, pair[0]).rows if manifest else 0)
        if size >= 2 * options.part and not options.is_declared(*pair[0]):
            found[pair[0]] = size
    return found


def _parts(pair: Pair, count: int, expected: Connections | Manifest, actual: Connections) -> Iterator[Part]:
    """Key ranges of one table; a single part where its key is not one whole number. None where it cannot be read, which
    the unit with its definition tells."""
    manifest = _manifest(expected)
    with actual.lent() as session:
        now = _shape(session, pair[1])
        column = now.counted if now else None
        bounds = reading.attempt(lambda: rows.least_and_greatest(session, pair[1].quoted, column)) if column else None
    held = _content(manifest, pair[0]) if manifest else None
    before = shape(held.definition) if held else _lent_shape(expected, pair[0])
    if now is None or before is None or isinstance(bounds, str):
        return
    shapes = (before, now) if before == now or held else shared(before, now)
    conditions = [""]
    if column and bounds and shapes[0].counted == column:
        conditions = rows.ranges(column, bounds, count)
    for number, condition in enumerate(conditions, start=1):
        yield Part(pair, shapes, condition, number == len(conditions), held)


def _lent_shape(expected: Connections | Manifest, table: Table) -> Shape | None:
    if isinstance(expected, Manifest):
        return None
    with expected.lent() as session:
        return _shape(session, table)


def _shape(session: Session, table: Table) -> Shape | None:
    content = reading.contents(session, [table], check=False, total=False)[table]
    return None if content.error else shape(content.definition)


def _manifest(side: Connections | Manifest) -> Manifest | None:
    return side if isinstance(side, Manifest) else None


def _content(manifest: Manifest, table: Table) -> Content:
    return manifest.databases[table.database].tables[table.table]


def chunks(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """In pieces of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
