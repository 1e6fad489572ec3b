"""What happened to alarms, kept even when they are deleted (AWS: for two weeks)."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from datetime import datetime

Kind = Literal["ConfigurationUpdate", "StateUpdate", "Action"]

KEPT_ITEMS = 20_000
"""Items kept of all alarms together; the oldest go first."""


@dataclass(frozen=True)
class Item:
    """One entry: `data` is the JSON that DescribeAlarmHistory gives as HistoryData."""

    number: int
    alarm: str
    at: datetime
    kind: Kind
    summary: str
    data: str

    def shown(self) -> dict[str, Any]:
        return {
            "AlarmName": self.alarm,
            "AlarmType": "MetricAlarm",
            "Timestamp": self.at,
            "HistoryItemType": self.kind,
            "HistorySummary": self.summary,
            "HistoryData": self.data,
        }


@dataclass(frozen=True)
class Wanted:
    """DescribeAlarmHistory's filters; None stands for no filter. Dates are inclusive."""

    alarm: str | None = None
    kind: str | None = None
    start: datetime | None = None
    end: datetime | None = None

    def takes(self, item: Item) -> bool:
        return (
            self.alarm in (None, item.alarm)
            and self.kind in (None, item.kind)
            and (self.start is None or item.at >= self.start)
            and (self.end is None or item.at <= self.end)
        )


@dataclass
class History:
    """All items, oldest first."""

    items: list[Item] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def add(self, alarm: str, kind: Kind, summary: str, data: str, *, at: datetime) -> None:
        # A new list, so that a thread which reads the old one is not disturbed.
        self.items = [*self.items[-KEPT_ITEMS:], Item(next(self._numbers), alarm, at, kind, summary, data)]

    def page(self, wanted: Wanted, *, ascending: bool, limit: int, after: int | None) -> tuple[list[Item], int | None]:
        """One page, and the number of its last item where more follow; `after` is what the last page gave."""
        items = [item for item in self.items if wanted.takes(item)]
        if not ascending:
            items.reverse()
        if after is not None:
            items = [item for item in items if (item.number > after if ascending else item.number < after)]
        return items[:limit], items[limit - 1].number if len(items) > limit else None
