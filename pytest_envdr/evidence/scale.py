"""Where a second lies in a drawing."""

from __future__ import annotations

from dataclasses import dataclass

WIDTH, LEFT, RIGHT = 1080.0, 92.0, 24.0
"""The drawing's width, and where its time axis begins and how far from the right edge it ends, in its own units."""
CHARACTER = 7.0
"""How wide a letter of a label is, a little too much rather than too little."""
_TICKS = 9


@dataclass(frozen=True)
class Scale:
    """Seconds after the drill's zero -> units of the drawing."""

    begin: float
    end: float

    def __call__(self, second: float) -> float:
        """Where a second lies; what is outside lies at the edge."""
        share = (min(max(second, self.begin), self.end) - self.begin) / (self.end - self.begin)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def holds(self, second: float) -> bool:
        """Whether a second is in the drawing."""
        return self.begin <= second <= self.end

    def ticks(self) -> list[float]:
        """Round seconds for the axis."""
        span = self.end - self.begin
        steps = (step * 10**power for power in range(-1, 6) for step in (1, 2, 5))
        step = next(step for step in steps if span / step <= _TICKS)
        first = int(self.begin // step)
        return [tick for number in range(first, first + _TICKS + 3) if self.holds(tick := number * step)]
