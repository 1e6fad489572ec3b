"""What a run tells its user while it works, and at its end. Duck-typed: pytest's reporter is handed in.

On a terminal a wait is one line, written over; elsewhere (CI) a plain line now and then. Capturing is suspended
meanwhile, so it is seen without `-s`.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    import pytest

    from pytest_envdr.drills import Standing
    from pytest_envdr.evidence.rows import Drill, Record

PLAIN_SECONDS = 15.0
"""How often a long wait is told of where lines cannot be written over."""
COLUMNS = ("drill", "RTO", "RTA", "RPO", "RPA", "detect + recover + validate", "verdict")


class Terminal:
    """The user's terminal, or what takes its place in CI."""

    def __init__(self, config: pytest.Config) -> None:
        self._reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        self._capture: Any = config.pluginmanager.get_plugin("capturemanager")
        self._writer: Any = config.get_terminal_writer() if self._reporter is not None else None
        self._told_at = 0.0
        self._standing = False

    def line(self, text: str) -> None:
        """A line that stays."""
        if self._reporter is None:
            return
        with self._uncaptured():
            self._erase()
            if self._writer.width_of_current_line:
                self._reporter.write_line("")
            self._reporter.write_line(text)

    def standing(self, standing: Standing | None) -> None:
        """How a wait stands; None when it is over."""
        if self._reporter is None:
            return
        if self._reporter.isatty:
            with self._uncaptured():
                self._erase()
                if standing is not None:
                    self._reporter.rewrite(str(standing)[: self._width], erase=True)
                    self._standing = True
        elif standing is not None and standing.waited >= PLAIN_SECONDS <= time.monotonic() - self._told_at:
            self._told_at = time.monotonic()
            self.line(str(standing))

    @property
    def _width(self) -> int:
        return max(20, int(self._writer.fullwidth) - 1)

    def _erase(self) -> None:
        if self._standing:
            self._reporter.rewrite("", erase=True)
            self._standing = False

    def _uncaptured(self) -> AbstractContextManager[None]:
        if self._capture is None:
            return nullcontext()
        manager: AbstractContextManager[None] = self._capture.global_and_fixture_disabled()
        return manager


def shown(path: Path) -> str:
    """A path as short as it can be written here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def summary(record: Record) -> Iterator[str]:
    """The table at a run's end: a row for each drill."""
    rows = [COLUMNS, *(_row(drill) for scenario in record.scenarios for drill in scenario.drills)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(COLUMNS))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(drill: Drill) -> tuple[str, ...]:
    parts = (drill.detect_seconds, drill.recover_seconds, drill.validate_seconds)
    split = " + ".join(_seconds(part) for part in parts) if drill.rta_seconds is not None else ""
    figures = (drill.rto_seconds, drill.rta_seconds, drill.rpo_seconds, drill.rpa_seconds)
    return (drill.name, *(_seconds(figure) for figure in figures), split, str(drill.verdict))


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
