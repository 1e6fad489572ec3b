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
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from pytest_envdr.durable import DurableLines, read_lines
from pytest_envdr.errors import InUse, JournalDamaged, Owed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True)
class Inverse:
    """What brings the state before back, as data.

    Attributes:
        operation: the call, "ecs.UpdateService", a row of `undo.UNDOS`; None where AWS heals it by itself.
        arguments: what the row needs, JSON-able; the state before is in here.
        restores: what it brings back, in words: "service envelope-prod-api desired count 2".
    """

    operation: str | None
    arguments: Mapping[str, Any]
    restores: str

    @classmethod
    def healed(cls, restores: str) -> Self:
        """None is needed, because AWS itself brings it back; says how."""
        return cls(None, {}, restores)


@dataclass(frozen=True)
class Ephemeral:
    """The process whose end is the end of a sandbox. Linux only, as the sandbox is.

    `started` is the kernel's start time of the process and `boot` the boot that it counts from: a later process with
    the same id is another one.
    """

    pid: int
    started: str
    boot: str

    @classmethod
    def of(cls, pid: int) -> Self:
        """That of a running process."""
        return cls(pid, *_process(pid))

    @property
    def gone(self) -> bool:
        """Whether that process has ended."""
        return (self.started, self.boot) != _process(self.pid)


@dataclass(frozen=True)
class Header:
    """Who works on what; one for each run that opens the journal.

    `stack` is the stack file's path, for `envdr undo`; `ephemeral` is given where this run started the sandbox.
    """

    exercise: str
    account: str
    region: str
    endpoint: str | None
    stack: str = ""
    user: str = ""
    host: str = ""
    pid: int = field(default_factory=os.getpid)
    ephemeral: Ephemeral | None = None


@dataclass
class Entry:
    """One act, as the journal knows it.

    Attributes:
        id: its name in this file.
        header: that of the run that intended it.
        act: the call, "ecs.UpdateService", with its `arguments`.
        at: when it was intended.
        settled: whether the call was answered, with `result` (what was created, ...) or `error`.
        closed: why it is owed no longer: "reversed" or "void"; None while it is, or where AWS heals it.
    """

    id: str
    header: Header
    act: str
    arguments: Mapping[str, Any]
    inverse: Inverse
    at: datetime
    settled: bool = False
    result: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    closed: str | None = None
    _settle: Callable[[Entry, dict[str, Any], str | None], None] | None = field(default=None, repr=False, compare=False)

    @property
    def owed(self) -> bool:
        """Whether an inverse is still to be applied. What was not answered may have happened: it is owed."""
        return self.inverse.operation is not None and self.closed is None

    def settle(self, result: Mapping[str, Any] | None = None, *, error: str | None = None) -> None:
        """The call was answered. It stays owed even with an error: the undo looks at what is there."""
        if self._settle is not None:
            self._settle(self, dict(result or {}), error)


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


def entries_of(records: list[dict[str, Any]]) -> list[Entry]:
    """The entries that a journal's records give.

    Raises:
        JournalDamaged: a record lacks something, or speaks of an entry that is not there.
    """
    entries: dict[str, Entry] = {}
    header: Header | None = None
    for number, record in enumerate(records, start=1):
        try:
            if record["record"] == "header":
                header = _header(record)
            elif record["record"] == "intend":
                entries[record["id"]] = _entry(header, record)
            else:
                _apply(entries[record["id"]], record)
        except (KeyError, TypeError, ValueError) as error:
            raise JournalDamaged(f"The undo journal is damaged: record {number} cannot be read ({error!r}).") from error
    return list(entries.values())


def last_header(path: Path) -> Header | None:
    """Who opened a journal last, and for what; read without its lock, None where there is none (yet)."""
    try:
        headers = [record for record in read_lines(path)[0] if record.get("record") == "header"]
    except FileNotFoundError:
        return None
    return _header(headers[-1]) if headers else None


def _header(record: Mapping[str, Any]) -> Header:
    values = {key: value for key, value in record.items() if key not in {"record", "at"}}
    ephemeral = values.pop("ephemeral")
    return Header(**values, ephemeral=Ephemeral(**ephemeral) if ephemeral else None)


def _entry(header: Header | None, record: Mapping[str, Any]) -> Entry:
    if header is None:
        raise ValueError("no header before it")
    at = datetime.fromisoformat(record["at"])
    return Entry(record["id"], header, record["act"], record["arguments"], Inverse(**record["inverse"]), at)


def _apply(entry: Entry, record: Mapping[str, Any]) -> None:
    if record["record"] == "settle":
        entry.settled, entry.result, entry.error = True, record["result"], record["error"]
    elif record["record"] in {"reversed", "void"}:
        entry.closed = record["record"]
    else:
        raise ValueError(f"no such record: {record['record']}")


def _process(pid: int) -> tuple[str, str]:
    """The start time of a process (field 22 of proc(5)'s stat; a zombie has ended) and the boot; "" where not there."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "", ""
    return ("" if fields[0] in "ZX" else fields[19]), boot


def _now() -> str:
    return datetime.now(UTC).isoformat()
