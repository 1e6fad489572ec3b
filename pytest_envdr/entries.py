"""What the undo journal's records say: who worked on what, which act, and what brings the state before back."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pytest_envdr.errors import JournalDamaged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Inverse:
    """What brings the state before back, as data.

    Attributes:
        operation: the call, "ecs.UpdateService", a row of `remains.UNDOS`; None where AWS heals it by itself.
        arguments: what the row needs, JSON-able; the state before is in here.
        restores: what it brings back, in words: "service envelope-prod-api desired count 2".
        region: where, if not in the Region that the journal is of.
    """

    operation: str | None
    arguments: Mapping[str, Any]
    restores: str
    region: str = ""

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
                header = header_of(record)
            elif record["record"] == "intend":
                entries[record["id"]] = _entry(header, record)
            else:
                _apply(entries[record["id"]], record)
        except (KeyError, TypeError, ValueError) as error:
            raise JournalDamaged(f"The undo journal is damaged: record {number} cannot be read ({error!r}).") from error
    return list(entries.values())


def header_of(record: Mapping[str, Any]) -> Header:
    """The header that a record of that kind gives."""
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
