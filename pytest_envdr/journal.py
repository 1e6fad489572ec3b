"""The durable undo journal: no call changes AWS before its inverse lies on disk.

One file for each target (account, Region, endpoint) in the user's state directory, locked while it is open: two runs
never work on one target. An `intend` record is on the disk before its call is made; what is torn at the end was never
acted upon. Records: `header` (a run begins), `intend` (an act and its inverse), `settle` (it was answered), `reversed`
(the state before is back), `void` (its sandbox has ended, and with it all that was changed).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from pytest_envdr.durable import DurableLines, read_lines
from pytest_envdr.entries import Entry, Ephemeral, Header, Inverse, entries_of, header_of
from pytest_envdr.errors import InUse, Owed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = [
    "Entry",
    "Ephemeral",
    "Header",
    "Inverse",
    "Journal",
    "Listener",
    "journal_path",
    "journal_paths",
    "last_header",
    "void_gone",
]

Listener = Callable[[Entry, str], None]
"""Told of an entry and its new state: "intended", "settled", "reversed" or "void"."""


class Journal:
    """An open journal. Use `Journal.open`."""

    def __init__(self, lines: DurableLines, header: Header, listener: Listener | None) -> None:
        self.path = lines.path
        self.header = header
        self.entries = entries_of(lines.records)
        self._lines = lines
        self._listener = listener
        self._open: list[Entry] = []
        self._reversing: list[Entry] = []

    @classmethod
    def open(
        cls,
        path: Path,
        header: Header,
        *,
        listener: Listener | None = None,
        sync: Callable[[int], None] = os.fsync,
    ) -> Self:
        """Lock the journal of a target, read it, and write this run's header.

        Args:
            path: from `journal_path`.
            header: who opens it.
            listener: told of every change.
            sync: brings what was written to a descriptor to the disk.

        Raises:
            InUse: another run has it open; says which.
            JournalDamaged: it cannot be read or written.
        """
        lines = DurableLines.open(path, sync=sync)
        try:
            journal = cls(lines, header, listener)
            lines.append({"record": "header", "at": _now(), **asdict(header)})
        except BaseException:
            lines.close()
            raise
        return journal

    def close(self) -> None:
        """Unlock it. The journal of a sandbox that ends with this run goes with it, unless something is owed."""
        if self.header.ephemeral is not None and not self.owed():
            self._lines.remove()
        self._lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def owed(self) -> list[Entry]:
        """What still has to be undone, of this run and earlier ones; the newest last."""
        return [entry for entry in self.entries if entry.owed]

    def check_nothing_owed(self) -> None:
        """Refuse to begin on a target that an earlier run left changed.

        Raises:
            Owed: with what has to be brought back, and how.
        """
        owed = self.owed()
        if owed:
            rows = "\n".join(f"  {entry.inverse.restores}   (exercise {entry.header.exercise})" for entry in owed)
            raise Owed(
                f"An earlier run changed this target and has not put it back:\n{rows}\nLooked at: {self.path}\n"
                "To go on: `envdr undo` brings it back."
            )

    def permits(self, operation: str) -> bool:
        """Whether this call may be made: its intent lies on disk and is unanswered, or it is the inverse at work."""
        return operation in {entry.act for entry in self._open} | {entry.inverse.operation for entry in self._reversing}

    def intend(self, act: str, arguments: Mapping[str, Any], *, inverse: Inverse) -> Entry:
        """Write an act and its inverse down; both are on the disk when this returns.

        Raises:
            JournalDamaged: it could not be written; the act must not happen.
        """
        entry = Entry(uuid4().hex[:12], self.header, act, dict(arguments), inverse, datetime.now(UTC))
        entry._settle = self._settled
        record = {"id": entry.id, "act": act, "arguments": entry.arguments, "inverse": asdict(inverse)}
        self._lines.append({"record": "intend", "at": entry.at.isoformat(), **record})
        self.entries.append(entry)
        self._open.append(entry)
        self._tell(entry, "intended")
        return entry

    @contextmanager
    def intending(self, act: str, arguments: Mapping[str, Any], *, inverse: Inverse) -> Iterator[Entry]:
        """Intend, then do (in the block), then settle; what goes wrong in the block is settled as its error."""
        entry = self.intend(act, arguments, inverse=inverse)
        try:
            yield entry
            if not entry.settled:
                entry.settle()
        except Exception as error:
            if not entry.settled:
                entry.settle(error=f"{type(error).__name__}: {error}")
            raise
        finally:
            self._answered(entry)

    @contextmanager
    def reversing(self, entry: Entry) -> Iterator[None]:
        """While an entry's inverse is applied: that one operation is permitted. The entry stays owed meanwhile."""
        self._reversing.append(entry)
        try:
            yield
        finally:
            self._reversing.remove(entry)

    def reversed(self, entry: Entry, how: str = "") -> None:
        """The state before an entry's act is back, and was seen to be."""
        self._close_entry(entry, "reversed", how)

    def void(self, entry: Entry, why: str) -> None:
        """An entry is owed no longer, because all that it changed is gone."""
        self._close_entry(entry, "void", why)

    def void_gone(self) -> list[Entry]:
        """Close what is owed to sandboxes that have ended; returns those entries."""
        gone = [entry for entry in self.owed() if entry.header.ephemeral is not None and entry.header.ephemeral.gone]
        for entry in gone:
            self.void(entry, "its sandbox has ended")
        return gone

    def _settled(self, entry: Entry, result: dict[str, Any], error: str | None) -> None:
        self._lines.append({"record": "settle", "id": entry.id, "at": _now(), "result": result, "error": error})
        entry.settled, entry.result, entry.error = True, result, error
        self._answered(entry)
        self._tell(entry, "settled")

    def _answered(self, entry: Entry) -> None:
        self._open = [other for other in self._open if other is not entry]

    def _close_entry(self, entry: Entry, state: str, why: str) -> None:
        self._lines.append({"record": state, "id": entry.id, "at": _now(), "why": why})
        entry.closed = state
        self._tell(entry, state)

    def _tell(self, entry: Entry, state: str) -> None:
        if self._listener:
            self._listener(entry, state)


def journal_path(state: Path, account: str, region: str, endpoint: str | None) -> Path:
    """Where the journal of a target lies in the state directory."""
    where = (endpoint or "aws").rstrip("/").lower()
    return state / "journals" / f"{account}-{region}-{hashlib.sha256(where.encode()).hexdigest()[:12]}.jsonl"


def journal_paths(state: Path) -> list[Path]:
    """Every journal in the state directory."""
    return sorted((state / "journals").glob("*.jsonl"))


def void_gone(state: Path, header: Header) -> list[Entry]:
    """Close what earlier runs owed to sandboxes that have ended, in every journal of the state directory.

    Such a journal is taken away once nothing is owed in it; one that another run has open is left alone. Returns the
    entries that were closed; `header` says who closed them.
    """
    closed: list[Entry] = []
    for path in journal_paths(state):
        last = last_header(path)
        if last is None or last.ephemeral is None or not last.ephemeral.gone:
            continue
        try:
            journal = Journal.open(path, Header(**{**vars(header), "ephemeral": last.ephemeral}))
        except InUse:
            continue
        with journal:
            closed += journal.void_gone()
    return closed


def last_header(path: Path) -> Header | None:
    """Who opened a journal last, and for what; read without its lock, None where there is none (yet)."""
    try:
        headers = [record for record in read_lines(path)[0] if record.get("record") == "header"]
    except FileNotFoundError:
        return None
    return header_of(headers[-1]) if headers else None


def _now() -> str:
    return datetime.now(UTC).isoformat()
