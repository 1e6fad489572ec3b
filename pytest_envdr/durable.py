"""A file of JSON lines that is locked, only appended to, and on the disk when `append` returns."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from pytest_envdr.errors import InUse, JournalDamaged

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

ELSEWHERE = "To go on: --envdr-state-dir DIR (or ENVDR_STATE_DIR) names another place."


class DurableLines:
    """An open file of JSON objects, one a line. Use `DurableLines.open`."""

    def __init__(self, path: Path, descriptor: int, records: list[dict[str, Any]], sync: Callable[[int], None]) -> None:
        self.path = path
        self.records = records
        self._descriptor = descriptor
        self._sync = sync
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, *, sync: Callable[[int], None] = os.fsync) -> Self:
        """Create it where needed (with its directories, both on the disk), lock it, read it, cut off a torn end.

        Raises:
            InUse: another process has it open; the last record of kind `header` says which.
            JournalDamaged: it cannot be opened, or a line that is not the last is not JSON.
        """
        try:
            descriptor = _locked(path, sync)
        except OSError as error:
            raise JournalDamaged(
                f"The undo journal cannot be opened: {error.strerror}.\nLooked at: {path}\n{ELSEWHERE}"
            ) from error
        try:
            records, end = read_lines(path)
            os.ftruncate(descriptor, end)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor, records, sync)

    def append(self, record: Mapping[str, Any]) -> None:
        """Write a record; it is on the disk when this returns. Interrupted or refused, it is taken back.

        Raises:
            JournalDamaged: it could not be written (disk full, ...).
        """
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            end = os.lseek(self._descriptor, 0, os.SEEK_END)
            try:
                self._write(line)
            except BaseException as error:
                with suppress(OSError):
                    os.ftruncate(self._descriptor, end)
                if not isinstance(error, OSError):
                    raise
                raise JournalDamaged(
                    f"The undo journal cannot be written: {error.strerror}. What it was to precede was not done.\n"
                    f"Looked at: {self.path}\n{ELSEWHERE}"
                ) from error

    def _write(self, line: bytes) -> None:
        while line:
            line = line[os.write(self._descriptor, line) :]
        self._sync(self._descriptor)

    def remove(self) -> None:
        """Take the file away; it stays locked until closed."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Unlock it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def read_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The records of a file, and where the last whole one ends, in bytes. Only the last line may be torn.

    Raises:
        JournalDamaged: another one is not a JSON object.
    """
    records: list[dict[str, Any]] = []
    end = 0
    lines = path.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        record = _record(line)
        if record is None and number < len(lines):
            raise JournalDamaged(
                f"The undo journal is damaged: line {number} is no record.\nLooked at: {path}\n"
                "To go on: look at what it lists, put it back by hand, and move the file away."
            )
        if record is not None:
            records.append(record)
            end += len(line)
    return records, end


def _record(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _locked(path: Path, sync: Callable[[int], None]) -> int:
    """The descriptor of the locked file. One that was removed while we waited for its lock is not the file any more."""
    while True:
        _make_directory(path.parent, sync)
        fresh = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise _held(path) from error
        if _is(descriptor, path):
            if fresh:
                _sync_directory(path.parent, sync)
            return descriptor
        os.close(descriptor)


def _is(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _held(path: Path) -> InUse:
    """The error for a file that another process has open: a header is only ever written under the lock."""
    headers = [record for record in read_lines(path)[0] if record.get("record") == "header"]
    holder = headers[-1] if headers else {}
    words = ", ".join(f"{key} {holder[key]}" for key in ("exercise", "pid", "user", "host", "at") if holder.get(key))
    return InUse(
        f"Another run works on this target ({words or 'it has just begun'}); two at once would undo each other.\n"
        f"Looked at: {path}\nTo go on: wait until it has ended."
    )


def _make_directory(directory: Path, sync: Callable[[int], None]) -> None:
    missing = [one for one in (directory, *directory.parents) if not one.exists()]
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for made in reversed(missing):
        _sync_directory(made.parent, sync)


def _sync_directory(directory: Path, sync: Callable[[int], None]) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)
