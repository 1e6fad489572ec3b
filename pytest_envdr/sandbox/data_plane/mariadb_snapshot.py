"""Snapshots of a running MariaDB server: its files as they are at one instant, as a storage snapshot has them.

The server is stopped in its tracks meanwhile, so that the copy is atomic over all databases: it holds each transaction
whole or not at all, and each one that was acknowledged before. A server that starts over it recovers as after a crash.
Locks alone (FLUSH TABLES WITH READ LOCK, BACKUP STAGE) do not give that: InnoDB writes its pages on, and a copy of
them is torn.

Most is copied before the freeze, while the server runs; frozen, only what has been written to since.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_envdr.errors import PartFailed
from pytest_envdr.waiting import pause

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_envdr.sandbox.data_plane.mariadb import MariaDB

FREEZE_SECONDS = 10.0
"""How long all threads of a server may take to stop."""
MARGIN_SECONDS = 1.0
"""A file changed so shortly before the first copy, or later, is copied again: times of files are coarse."""
MAPPED = ("ib_logfile0", "tc.log")
"""Files that the server writes to as memory, which leaves no trace in their times: InnoDB's log on /dev/shm."""
TRANSIENT = (".pid", ".sock")
"""What belongs to the process, not to its data."""


def take(server: MariaDB, target: Path) -> datetime:
    """Copy a server's data directory to `target` as it is at one instant. Blocks; so does the server, less long.

    A server that does not run is simply copied. `target` is there only once it is complete.

    Returns:
        The instant (UTC): no transaction in the copy was committed later, and each that was acknowledged before it is
        there.

    Raises:
        PartFailed: the files could not be copied, or the server could not be frozen.
    """
    half = target.with_name(f"{target.name}.half")
    try:
        shutil.rmtree(half, ignore_errors=True)
        since = time.time() - MARGIN_SECONDS
        # Files that come and go meanwhile are no failure yet.
        _copy(server.data, half)
        with _frozen(server) as instant:
            _copy_again(server.data, half, since)
        half.rename(target)
    except OSError as error:
        raise PartFailed(f"No snapshot of {server.data} could be taken: {error}") from error
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return instant


def lay_out(snapshot: Path, target: Path) -> None:
    """Fill `target`, a restored server's data directory, from a snapshot; blocks are shared where they can be.

    Raises:
        PartFailed: the files could not be copied.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    complaint = _copy(snapshot, target)
    if complaint:
        raise PartFailed(f"The snapshot {snapshot} could not be laid out at {target}: {complaint}")


def _copy(source: Path, target: Path) -> str:
    """A copy with the files' times; what could not be copied, in words."""
    command = ["cp", "-a", "--reflink=auto", str(source), str(target)]
    answer = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return answer.stderr.strip() or f"code {answer.returncode}" if answer.returncode else ""


@contextlib.contextmanager
def _frozen(server: MariaDB) -> Iterator[datetime]:
    """A server of which no thread runs; gives the instant since when."""
    if server.pid is None or server.exit_code() is not None:
        yield datetime.now(UTC)
        return
    server.freeze()
    try:
        _wait_until_stopped(server.pid)
        yield datetime.now(UTC)
    finally:
        server.thaw()


def _wait_until_stopped(pid: int) -> None:
    """SIGSTOP reaches the threads one after the other."""
    end = time.monotonic() + FREEZE_SECONDS
    while not all(state in "TZ" for state in _states(pid)):
        if time.monotonic() > end:
            raise PartFailed(f"MariaDB (process {pid}) could not be frozen within {FREEZE_SECONDS:g} s.")
        pause(0.001)


def _states(pid: int) -> Iterator[str]:
    """The state of each thread, proc(5): the letter after the name, which is in parentheses."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            yield (task / "stat").read_text().rpartition(")")[2].split()[0]


def _copy_again(source: Path, target: Path, since: float) -> None:
    """Make `target`, a copy begun at `since` (Unix time), equal to `source`, which no longer changes."""
    there = {name: stat for name, stat in _tree(source).items() if not name.endswith(TRANSIENT)}
    copied = _tree(target)
    for name in sorted(copied.keys() - there.keys(), reverse=True):
        (target / name).rmdir() if (target / name).is_dir() else (target / name).unlink()
    for name, stat in sorted(there.items()):
        if (source / name).is_dir():
            (target / name).mkdir(exist_ok=True)
        elif name in MAPPED or stat.st_mtime >= since or name not in copied or _marks(stat) != _marks(copied[name]):
            shutil.copy2(source / name, target / name)


def _marks(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_size, stat.st_mtime_ns


def _tree(directory: Path) -> dict[str, os.stat_result]:
    """All files and directories below, by their relative names."""
    found = {}
    for parent, directories, files in os.walk(directory):
        for name in [*directories, *files]:
            path = Path(parent, name)
            found[str(path.relative_to(directory))] = path.lstat()
    return found
