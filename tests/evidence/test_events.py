"""The event log: appended as things happen, readable after a kill."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pytest_envdr.errors import EnvdrError, UsageError
from pytest_envdr.evidence import events
from pytest_envdr.timeline import Clock, Phase, Timeline


def log(directory: Path) -> events.EventLog:
    return events.EventLog(directory, "ex-1", Clock())


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """Kind, drill, data and order come back; the directory is made."""
    written = log(tmp_path / "a" / "b")
    written.write("note", drill="t::x", text="one")
    written.write("note", text="two")
    written.close()
    found = events.read(tmp_path / "a" / "b").events
    assert [(event.seq, event.kind, event.drill, event.data) for event in found] == [
        (0, "note", "t::x", {"text": "one"}),
        (1, "note", None, {"text": "two"}),
    ]


def test_instants_of_aws_are_placed_where_they_happened(tmp_path: Path) -> None:
    """An event given with AWS's own time stamp lies there on the clock too, before the exercise if need be."""
    clock = Clock()
    written = events.EventLog(tmp_path, "ex-1", clock)
    earlier = datetime.now(UTC) - timedelta(seconds=30)
    written.write("aws.fact", at=earlier, what="task", text="created")
    (found,) = events.read(tmp_path).events
    assert abs((found.at - earlier).total_seconds()) < 0.002
    assert -31 < found.clock < -29


def test_a_time_line_tells_its_entries_to_the_log(tmp_path: Path) -> None:
    """A drill's phases and marks arrive with its node id, on the log's own clock."""
    clock = Clock()
    written = events.EventLog(tmp_path, "ex-1", clock)
    timeline = Timeline(written.sink("t::x"), clock)
    with timeline.phase(Phase.TRIGGER):
        timeline.mark("fault", clock=clock.monotonic() - 1)
    found = events.read(tmp_path).events
    assert [event.kind for event in found] == ["phase.begin", "mark", "phase.end"]
    assert {event.drill for event in found} == {"t::x"}
    assert found[1].clock < found[0].clock


@pytest.mark.parametrize("torn", [b'{"seq": 7, "at": "2026-', b"\xff\xfe", b"[]", b'{"seq": 1}'])
def test_a_line_cut_short_is_left_out_and_counted(tmp_path: Path, torn: bytes) -> None:
    """After a kill in the middle of a line, all lines before it are read."""
    written = log(tmp_path)
    written.write("note", text="whole")
    with (tmp_path / events.FILE).open("ab") as file:
        file.write(torn)
    found = events.read(tmp_path)
    assert [event.data for event in found.events] == [{"text": "whole"}]
    assert found.unreadable == 1


def test_every_event_before_a_kill_is_there(tmp_path: Path) -> None:
    """A process killed right after writing loses nothing."""
    script = (
        "import os, signal, sys, pathlib\n"
        "from pytest_envdr.evidence.events import EventLog\n"
        "from pytest_envdr.timeline import Clock\n"
        "log = EventLog(pathlib.Path(sys.argv[1]), 'ex-1', Clock())\n"
        "for n in range(500): log.write('probe', ok=True, n=n)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert [event.data["n"] for event in events.read(tmp_path).events] == list(range(500))


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    """Eight threads writing at once give whole lines in a gapless sequence."""
    written = log(tmp_path)

    def write() -> None:
        for _ in range(50):
            written.write("probe", text="x" * 3000)

    many = [threading.Thread(target=write) for _ in range(8)]
    for thread in many:
        thread.start()
    for thread in many:
        thread.join()
    found = events.read(tmp_path)
    assert [event.seq for event in found.events] == list(range(400))
    assert found.unreadable == 0


def test_any_value_can_be_told(tmp_path: Path) -> None:
    """Paths, instants, sets, odd text and numbers that JSON lacks never lose the event."""
    written = log(tmp_path)
    instant = datetime(2026, 5, 4, tzinfo=UTC)
    written.write("note", path=tmp_path, instant=instant, text="\udc80\x00é", number=math.nan, several={1})
    (found,) = events.read(tmp_path).events
    assert found.data["path"] == str(tmp_path)
    assert found.data["instant"] == "2026-05-04T00:00:00.000Z"
    assert found.data["text"] == "?\x00é"
    assert found.data["number"] is None
    assert found.data["several"] == [1]


def test_evidence_is_never_mixed_or_overwritten(tmp_path: Path) -> None:
    """A directory that holds an exercise's events is refused, with the remedy."""
    log(tmp_path).write("note", text="first")
    with pytest.raises(UsageError, match="another exercise's evidence") as refusal:
        log(tmp_path)
    assert "--envdr-evidence" in str(refusal.value)


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    """Where a directory cannot be made, the message names it and the option."""
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="To go on:"):
        log(tmp_path / "file" / "below")


def test_no_events_is_a_clear_error(tmp_path: Path) -> None:
    """Reading where nothing was recorded names the file that was looked for."""
    with pytest.raises(EnvdrError, match=events.FILE):
        events.read(tmp_path)


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    """The second close does nothing, and no descriptor leaks."""
    before = open_descriptors()
    written = log(tmp_path)
    written.close()
    written.close()
    assert open_descriptors() == before
