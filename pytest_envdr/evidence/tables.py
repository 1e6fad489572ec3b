"""Tables in a drill's section: those that the drill tells, and how all of them are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_envdr.evidence import wording
from pytest_envdr.evidence.markup import Html, join, tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_envdr.evidence.markup import Child
    from pytest_envdr.evidence.rows import RecoveryPoint, Table

SHORT = 12
"""A table of at most so many rows stands open."""


def recovery_points(points: Sequence[RecoveryPoint]) -> Html:
    """How far each store's data came back, against what is promised."""
    if not points:
        return Html("")
    head = ("store", "#RPO", "#RPA", "newest write that survived", "#writes lost")
    rows = (
        (
            point.store,
            wording.objective(point.rpo_seconds),
            tag("b", wording.with_error(point.rpa_seconds, point.error_seconds)),
            point.newest or "none",
            wording.NONE if point.lost is None else str(point.lost),
        )
        for point in points
    )
    return folded("How far the data came back", table(head, rows), many=len(points), open_=len(points) <= SHORT)


def shown(told: Table) -> Html:
    """A table that the drill tells; where it told only the first rows, where the others are."""
    left = told.total - len(told.rows)
    more = (
        tag("p", f"... and {left} more: all of them are attached as {told.title}.csv.", class_="dim") if left else None
    )
    said = tag("p", told.caption, class_="dim") if told.caption else None
    content = table(told.columns, told.rows) if told.rows else tag("p", "None.", class_="dim")
    return folded(told.title, join(said, content, more), open_=len(told.rows) <= SHORT)


def folded(title: str, *content: Child, many: int | None = None, open_: bool = False) -> Html:
    """Something long behind its title, and nothing at all where there is nothing."""
    if many == 0:
        return Html("")
    amount = tag("span", f"{many}", class_="amount") if many is not None else None
    return tag("details", tag("summary", title, amount), *content, open=open_)


def table(head: Sequence[str], rows: Iterable[Sequence[Child]], *, class_: str | None = None) -> Html:
    """A table with a head; columns headed by `#name` hold figures."""
    kinds = ["figure" if name.startswith("#") else None for name in head]
    top = _row("th", [name.lstrip("#") for name in head], kinds)
    body = (_row("td", row, kinds) for row in rows)
    return tag("div", tag("table", tag("thead", top), tag("tbody", *body), class_=class_), class_="scroll")


def _row(cell: str, values: Sequence[Child], kinds: Sequence[str | None]) -> Html:
    return tag("tr", *(tag(cell, value, class_=kind) for value, kind in zip(values, kinds, strict=True)))
