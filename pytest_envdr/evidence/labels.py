"""The named lines of a drawing: marks and the RTO, each named where its name hides no other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_envdr.evidence import wording
from pytest_envdr.evidence.markup import Html, join, tag
from pytest_envdr.evidence.scale import CHARACTER, WIDTH
from pytest_envdr.timeline import Mark

if TYPE_CHECKING:
    from pytest_envdr.evidence.rows import Drill
    from pytest_envdr.evidence.scale import Scale

ROW = 14.0
"""How high a row of names is."""


@dataclass(frozen=True)
class Label:
    """A line through all lanes with its name above, in the row where it hides no other."""

    words: str
    x: float
    row: int
    line: str
    ink: str

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
    lines = [(mark.offset_seconds, mark.name, mark.name) for mark in drill.marks]
    if drill.rto_seconds is not None and drill.zero == "fault" and scale.holds(drill.rto_seconds):
        lines.append((drill.rto_seconds, f"RTO {wording.objective(drill.rto_seconds)}", "rto"))
    placed: list[Label] = []
    for second, words, kind in sorted(lines):
        shown = words if kind in {"rto", Mark.FAULT} else f"{words} {wording.offset(second)}"
        style = kind if kind in {"rto", Mark.FAULT} else "mark"
        ink = "name" if style == "mark" else f"{style}-name"
        row = 0
        while any(_hides(Label(shown, scale(second), row, style, ink), other) for other in placed):
            row += 1
        placed.append(Label(shown, scale(second), row, style, ink))
    return placed


def _hides(one: Label, other: Label) -> bool:
    if one.row != other.row:
        return False
    return one.left < other.left + other.width and other.left < one.left + one.width


def draw(label: Label, *, bottom: float) -> Html:
    """The line, from beside its name down to the bottom of the lanes."""
    y = ROW * (1 + label.row)
    return join(
        tag("line", class_=label.line, x1=label.x, x2=label.x, y1=y - 9, y2=bottom),
        tag("text", label.words, class_=label.ink, x=label.left, y=y),
    )
