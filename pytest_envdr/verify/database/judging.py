"""What was read of two sides, and the differences between: no server is asked here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr.verify.database.difference import Difference
from pytest_envdr.verify.database.schema import parts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_envdr.verify.database.difference import Kind
    from pytest_envdr.verify.database.manifest import Content, Names
    from pytest_envdr.verify.database.options import Options
    from pytest_envdr.verify.database.reading import Table

SHOWN = 200
HERE = "`@`."
"""Stands for a database's own name in definitions where the two sides name it differently."""


def names(database: str, expected: Names | None, actual: Names | None) -> Iterator[Difference]:
    """Databases, tables and views that are on one side only."""
    if expected is None and actual is not None:
        yield Difference(database, "", "", "extra-database")
    if actual is None:
        yield Difference(database, "", "", "missing-database")
    if expected is None or actual is None:
        return
    for table in sorted(expected.tables - actual.tables):
        yield Difference(database, table, "", "missing-table")
    for table in sorted(actual.tables - expected.tables):
        yield Difference(database, table, "", "extra-table")
    for view in sorted(expected.views - actual.views):
        yield Difference(database, "", view, "view", "present", "missing")
    for view in sorted(actual.views - expected.views):
        yield Difference(database, "", view, "view", "missing", "present")


def definition(
    names: tuple[Table, Table], expected: Content, actual: Content, options: Options
) -> Iterator[Difference]:
    """What makes the table, and what CHECK TABLE said of it."""
    table = names[0]
    if actual.problem:
        yield Difference(*table, "", "check", actual=brief(actual.problem))
    for side, where in ((expected, "on the expected side"), (actual, "")):
        if side.error:
            yield Difference(*table, where, "unreadable", actual=brief(side.error))
    if expected.error or actual.error:
        return
    before, after = _own(expected.definition, names[0], names), _own(actual.definition, names[1], names)
    if before != after:
        yield from _lines(table, parts(before), parts(after))
    if options.auto_increment and not options.is_declared(*table):
        yield from _auto_increment(table, expected.auto_increment, actual.auto_increment)


def _auto_increment(table: Table, expected: int | None, actual: int | None) -> Iterator[Difference]:
    if (expected or 1) != (actual or 1):
        yield Difference(*table, "auto_increment", "schema", str(expected or 1), str(actual or 1))


def _lines(table: Table, expected: dict[str, str], actual: dict[str, str]) -> Iterator[Difference]:
    for label in sorted({*expected, *actual}):
        before, after = expected.get(label, "missing"), actual.get(label, "missing")
        if before != after:
            yield Difference(*table, label, "schema", *apart(before, after))
    order = [[label for label in side if label.startswith("column ")] for side in (expected, actual)]
    if sorted(order[0]) == sorted(order[1]) and order[0] != order[1]:
        yield Difference(*table, "order of columns", "schema", *(brief(", ".join(side)) for side in order))


def _own(text: str, own: Table, names: tuple[Table, Table]) -> str:
    """A definition in which the name of its own database does not count. One that names the *other* side's database
    does: a copied view that still reads the original is no copy."""
    return own_name(text, own.database) if names[0].database != names[1].database else text


def own_name(text: str, database: str) -> str:
    """A definition with a placeholder for its own database's name."""
    quoted = database.replace("`", "``")
    return text.replace(f"`{quoted}`.", HERE)


def counts(table: Table, expected: Content, actual: Content) -> Iterator[Difference]:
    """The number of rows."""
    if expected.rows != actual.rows:
        yield Difference(*table, "", "row-count", str(expected.rows), str(actual.rows))


def unreadable(table: Table, error: str) -> Difference:
    """That the server answered with an error."""
    return Difference(*table, "", "unreadable", actual=brief(error))


def content(table: Table, expected: Content, actual: Content, *, why: str) -> Difference:
    """That rows differ, without which: `why` says why not."""
    return Difference(*table, why, "content", expected.digest, actual.digest)


def objects(
    names: tuple[str, str], expected: Mapping[str, str], actual: Mapping[str, str], options: Options
) -> Iterator[Difference]:
    """Views, routines, triggers and events."""
    for label in sorted({*expected, *actual}):
        texts = [
            _prepared(side.get(label), database, options, renamed=names[0] != names[1])
            for side, database in zip((expected, actual), names, strict=True)
        ]
        if texts[0] != texts[1]:
            kind, where = _named(label)
            yield Difference(names[0], "", where, kind, *_present(*texts))


def _prepared(text: str | None, database: str, options: Options, *, renamed: bool) -> str | None:
    if text is None:
        return None
    lines = text if options.definers else "\n".join(one for one in text.split("\n") if not one.startswith("definer: "))
    return own_name(lines, database) if renamed else lines


def _named(label: str) -> tuple[Kind, str]:
    """Kind and name of "view totals", "procedure refresh"."""
    word, _, name = label.partition(" ")
    kinds: dict[str, Kind] = {"view": "view", "trigger": "trigger", "event": "event"}
    return (kinds[word], name) if word in kinds else ("routine", label)


def _present(expected: str | None, actual: str | None) -> tuple[str, str]:
    if expected is None or actual is None:
        return ("missing" if expected is None else "present", "missing" if actual is None else "present")
    return apart(expected, actual)


def accounts(expected: Mapping[str, str], actual: Mapping[str, str]) -> Iterator[Difference]:
    """Users, and the lines of their grants."""
    for account in sorted({*expected, *actual}):
        before, after = (set(side[account].split("\n")) if account in side else None for side in (expected, actual))
        if before is None or after is None:
            said = ("no account" if side is None else "one" for side in (before, after))
            yield Difference("", "", account, "grant", *said)
        elif before != after:
            lost, gained = ("; ".join(sorted(one)) or "nothing else" for one in (before - after, after - before))
            yield Difference("", "", account, "grant", brief(lost), brief(gained))


def apart(expected: str, actual: str) -> tuple[str, str]:
    """The first lines in which two texts differ."""
    before, after = expected.split("\n"), actual.split("\n")
    common = next(
        (n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    one, other = ((lines[common] if common < len(lines) else "missing") for lines in (before, after))
    return brief(one.strip()), brief(other.strip())


def brief(text: str) -> str:
    """Not more than a line or two."""
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
