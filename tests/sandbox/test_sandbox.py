"""The sandbox as a process: what it says, what it leaves behind, and that two stand side by side."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr.errors import UsageError
from pytest_envdr.sandbox import Sandbox
from pytest_envdr.waiting import pause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OWNER = """
import sys
from pytest_envdr.sandbox import Sandbox
with Sandbox(speed=30, tenants=1) as sandbox:
    print(sandbox.stack, flush=True)
    sys.stdin.read()
"""


def descendants(pid: int) -> set[int]:
    """All processes under a process."""
    found: set[int] = set()
    with suppress(FileNotFoundError, ProcessLookupError):  # the process ends meanwhile
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):  # the thread does
                for child in (task / "children").read_text().split():
                    found |= {int(child)} | descendants(int(child))
    return found


def alive(pids: set[int]) -> set[int]:
    """Those that still run; a zombie does not."""
    running = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != "Z":
            running.add(pid)
    return running


def eventually(true: Callable[[], bool], seconds: float = 20.0) -> bool:
    """Whether it becomes true."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        pause(0.05)
    return True


class Owned:
    """A process that owns a sandbox, and what one must look at after its end."""

    def __init__(self) -> None:
        self.owner = subprocess.Popen(
            [sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.owner.stdout is not None
        self.stack = Path(self.owner.stdout.readline().strip())
        self.endpoint = tomllib.loads(self.stack.read_text())["endpoint"]
        self.pids = descendants(self.owner.pid)

    @property
    def guardian(self) -> int:
        """The owner's child."""
        (task,) = Path(f"/proc/{self.owner.pid}/task").glob(str(self.owner.pid))
        return int((task / "children").read_text().split()[0])

    @property
    def server(self) -> int:
        """The guardian's child."""
        return int(Path(f"/proc/{self.guardian}/task/{self.guardian}/children").read_text().split()[0])

    def nothing_is_left(self) -> bool:
        """No process, no file, no port, no lock."""
        host, port = self.endpoint.removeprefix("http://").split(":")
        with socket.socket() as client:
            refused = client.connect_ex((host, int(port))) != 0
        number = self.stack.parent.name.rsplit("-", 1)[1]
        locked = f"@envdr-sandbox-127.{number}\n" in Path("/proc/net/unix").read_text()
        return not alive(self.pids) and not self.stack.parent.exists() and refused and not locked

    def close(self) -> None:
        """End the owner, whatever the test did to it."""
        self.owner.kill()
        self.owner.wait()
        for pipe in (self.owner.stdin, self.owner.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def owned() -> Iterator[Owned]:
    """A sandbox owned by another process."""
    process = Owned()
    yield process
    process.close()


@pytest.mark.sweep
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_owners_end_leaves_nothing(owned: Owned, number: signal.Signals) -> None:
    """However the owner ends, no process, file, port or lock of its sandbox is left."""
    assert len(owned.pids) > 10
    os.kill(owned.owner.pid, number)
    assert eventually(owned.nothing_is_left), alive(owned.pids)


@pytest.mark.parametrize("part", [pytest.param("guardian", marks=pytest.mark.sweep), "server"])
def test_a_killed_sandbox_leaves_nothing(owned: Owned, part: str) -> None:
    """Killing the guardian or the server leaves nothing either."""
    os.kill(getattr(owned, part), signal.SIGKILL)
    owned.pids -= {owned.owner.pid}
    assert eventually(owned.nothing_is_left), alive(owned.pids)


@pytest.mark.sweep
def test_two_stand_side_by_side(owned: Owned, sandbox_stack: Path) -> None:
    """Two sandboxes have their own endpoints and addresses, and the end of one leaves the other alone."""
    other = tomllib.loads(sandbox_stack.read_text())
    mine = tomllib.loads(owned.stack.read_text())
    assert mine["endpoint"] != other["endpoint"]
    assert mine["services"]["api"]["probe"]["url"] != other["services"]["api"]["probe"]["url"]
    owned.close()
    assert eventually(owned.nothing_is_left), alive(owned.pids)
    assert sandbox_stack.exists()


def test_a_taken_port_is_one_message(sandbox_stack: Path) -> None:
    """A port that is taken is named, with what to do."""
    port = int(tomllib.loads(sandbox_stack.read_text())["endpoint"].rsplit(":", 1)[1])
    with pytest.raises(UsageError, match=rf"127\.0\.0\.1:{port}.*\n.*--port"), Sandbox(port=port):
        pass


@pytest.mark.parametrize("wrong", [{"speed": 0.5}, {"tenants": 0}, {"port": 70000}, {"queue": "x"}])
def test_an_option_out_of_range_is_refused(wrong: dict[str, Any]) -> None:
    """Speed, tenants, port and queue say which values they take."""
    with pytest.raises(UsageError, match=r"from|redis, sqs"):
        Sandbox(**wrong)


def test_every_answer_is_logged_with_its_fidelity(sandbox_stack: Path) -> None:
    """The API's log has a line an answer: service, operation, status, fidelity, request id."""
    rows = [json.loads(line) for line in (sandbox_stack.parent / "api.jsonl").read_text().splitlines()]
    row = next(row for row in rows if row["operation"] == "DescribeServices")
    assert row["service"] == "ecs"
    assert row["fidelity"] == "acted"
    assert row["request_id"]


def test_the_second_region_costs_nothing(sandbox_stack: Path) -> None:
    """Of a Region that nothing stands in, no process runs."""
    directory = sandbox_stack.parent / "eu-central-1"
    assert directory.is_dir()
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [command for command in running if str(directory).encode() in command]
