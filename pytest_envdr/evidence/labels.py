"""The named lines of a drawing: marks and the RTO, each named where its name hides no other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_envdr.evidence import wording
from pytest_envdr.evidence.markup import Html, join, tag
from pytest_envdr.evidence.scale import CHARACTER, WIDTH
from pytest_envdr.timeline import Mark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_envdr.evidence.rows import Drill
    from pytest_envdr.evidence.scale import Scale

ROW = 14.0
"""How high a row of names is."""
_LONGEST = 48
_BEYOND = "beyond"


@dataclass(frozen=True)
class Label:
    """A line through all lanes with its name above, in the row where it hides no other."""

    words: str
    x: float
    row: int
    line: str

    @property
    def left(self) -> float:
        """Where the words begin: beside the line, on its other side near the right edge."""
        return self.x - self.width - 3 if self.x + self.width > WIDTH else self.x + 3

    @property
    def width(self) -> float:
        """How wide the words are."""
        return len(self.words) * CHARACTER + 8


def place(drill: Drill, scale: Scale) -> list[Label]:
    """The labels of a drill's marks and of its RTO."""
    placed: list[Label] = []
    for second, words, line in sorted([*_marks(drill), *_rto(drill, scale)]):
        row = 0
        while any(_hides(Label(words, scale(second), row, line), other) for other in placed):
            row += 1
        placed.append(Label(words, scale(second), row, line))
    return placed


def _marks(drill: Drill) -> Iterator[tuple[float, str, str]]:
    for mark in drill.marks:
        name = mark.name if len(mark.name) <= _LONGEST else f"{mark.name[:_LONGEST]}\N{HORIZONTAL ELLIPSIS}"
        if name == Mark.FAULT:
            yield mark.offset_seconds, name, "fault"
        else:
            yield mark.offset_seconds, f"{name} {wording.offset(mark.offset_seconds)}", "mark"


def _rto(drill: Drill, scale: Scale) -> Iterator[tuple[float, str, str]]:
    """The RTO's line; where it lies far beyond what happened, only a pointer to it."""
    if drill.rto_seconds is None or drill.zero != "fault":
        return
    words = f"RTO {wording.objective(drill.rto_seconds)}"
    if scale.holds(drill.rto_seconds):
        yield drill.rto_seconds, words, "rto"
    else:
        yield scale.end, f"{words} \N{RIGHTWARDS ARROW}", _BEYOND


def _hides(one: Label, other: Label) -> bool:
    if one.row != other.row:
        return False
    return one.left < other.left + other.width and other.left < one.left + one.width


def draw(label: Label, *, bottom: float) -> Html:
    """The line, from beside its name down to the bottom of the lanes."""
    y = ROW * (1 + label.row)
    line = tag("line", class_=label.line, x1=label.x, x2=label.x, y1=y - 9, y2=bottom)
    name = tag("text", label.words, class_=f"name {label.line}-name", x=label.left, y=y)
    return name if label.line == _BEYOND else join(line, name)
