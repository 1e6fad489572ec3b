"""The file below the journal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_envdr.durable import DurableLines, read_lines
from pytest_envdr.errors import InUse, JournalDamaged

HOLD = """
import sys
from pathlib import Path
from pytest_envdr.durable import DurableLines
lines = DurableLines.open(Path(sys.argv[1]))
lines.append({"record": "header", "exercise": "theirs"})
print("held", flush=True)
sys.stdin.read()
"""


def test_records_come_back_in_order(tmp_path: Path) -> None:
    """What was appended is read back, and where the last whole line ends is known."""
    path = tmp_path / "lines.jsonl"
    written = [{"n": number, "text": "ü\n"} for number in range(3)]
    lines = DurableLines.open(path)
    for record in written:
        lines.append(record)
    lines.close()
    assert read_lines(path) == (written, path.stat().st_size)
    again = DurableLines.open(path)
    assert again.records == written
    again.close()


def test_a_full_disk_is_one_clear_error() -> None:
    """A line that the device has no room for is refused, with the reason and the option that names another place."""
    lines = DurableLines(Path("/dev/full"), os.open("/dev/full", os.O_RDWR), [], os.fsync)
    with pytest.raises(JournalDamaged, match=r"(?s)No space left.*/dev/full.*--envdr-state-dir"):
        lines.append({"record": "intend"})
    lines.close()


def test_an_interrupt_takes_the_line_back(tmp_path: Path) -> None:
    """Ctrl-C while a line is brought to the disk leaves no line that nobody knows of."""

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "lines.jsonl"
    path.touch()
    lines = DurableLines.open(path, sync=interrupted)
    with pytest.raises(KeyboardInterrupt):
        lines.append({"record": "intend"})
    assert path.read_bytes() == b""
    lines.close()


def test_another_process_is_kept_out(tmp_path: Path) -> None:
    """While a process holds the file nobody else opens it, and the error says who; its death by SIGKILL frees it."""
    path = tmp_path / "lines.jsonl"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InUse, match="exercise theirs"):
            DurableLines.open(path)
        holder.kill()
    DurableLines.open(path).close()


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    """The file and the directory made for it are the user's alone: arguments of calls lie in it."""
    path = tmp_path / "new" / "lines.jsonl"
    DurableLines.open(path).close()
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_a_removed_file_is_not_written_to(tmp_path: Path) -> None:
    """Removing takes it away while locked; the next to open begins a new one."""
    path = tmp_path / "lines.jsonl"
    first = DurableLines.open(path)
    first.append({"n": 1})
    first.remove()
    second = DurableLines.open(path)
    assert second.records == []
    first.close()
    second.append({"n": 2})
    second.close()
    assert read_lines(path)[0] == [{"n": 2}]
