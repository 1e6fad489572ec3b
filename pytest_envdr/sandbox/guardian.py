"""The process around the server: whatever ends, nothing is left behind.

Three processes watch one another. The owner (pytest, or `envdr sandbox`) holds the write end of the guardian's standard
input: when the owner dies, however it dies, the guardian reads the end of it and stops the server. The guardian is the
subreaper of all that the sandbox starts: when the server dies, however it dies, what it left is adopted and killed, and
its files are removed. When the guardian itself is killed, the kernel sends the server SIGTERM, which then cleans up.
Each part of the stack is killed by the kernel when its server dies (`data_plane/process.py`).
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_envdr.errors import PartFailed

if TYPE_CHECKING:
    from collections.abc import Callable

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
Networks = tuple[IPv4Network, IPv4Network]
"""Of the two Regions."""
STOP_SECONDS = 10.0
"""How long the server may take to stop in good order before it is killed. Wall seconds."""
FIRST, SANDBOXES = 64, 64
"""127.64.0.0 is the first one's network in its first Region, and as many can run at a time."""
MEMORY_BYTES = 2 << 30
"""Free space from which on memory is used for the sandbox's files rather than the disk."""


def claim_networks() -> tuple[Networks, socket.socket]:
    """A /16 of 127.0.0.0/8 for each of the two Regions, which no other sandbox on this machine has, and their lock.

    The lock is an abstract socket: the kernel gives it back when the last process that holds it is gone.

    Raises:
        PartFailed: all are taken.
    """
    for number in range(FIRST, FIRST + SANDBOXES):
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            lock.bind(f"\0envdr-sandbox-127.{number}")
        except OSError:
            lock.close()
            continue
        return (IPv4Network(f"127.{number}.0.0/16"), IPv4Network(f"127.{number + SANDBOXES}.0.0/16")), lock
    raise PartFailed(
        f"No address range is free in 127.{FIRST}.0.0 to 127.{FIRST + SANDBOXES - 1}.0.0: "
        f"{SANDBOXES} sandboxes run on this machine."
    )


def claim_directory(network: IPv4Network) -> Path:
    """An empty directory for the sandbox of that network; what a killed one left there is removed."""
    memory = Path("/dev/shm")  # noqa: S108 (a file system in memory, not a name that others could guess)
    in_memory = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > MEMORY_BYTES
    parent = memory if in_memory else Path(tempfile.gettempdir())
    directory = parent / f"envdr-{os.getuid()}-{network.network_address.packed[1]}"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(mode=0o700)
    return directory


def guard(serve: Callable[[Networks, Path], int]) -> int:
    """Run `serve` in a child process and clean up after it; its exit code."""
    networks, _lock = claim_networks()
    directory = claim_directory(networks[0])
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    server = os.fork()
    if server == 0:
        _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os._exit(_quietly(serve, networks, directory))
    _ignore_and_forward(server)
    code = _watch(server)
    _kill_the_rest()
    shutil.rmtree(directory, ignore_errors=True)
    return code


def _quietly(serve: Callable[[Networks, Path], int], networks: Networks, directory: Path) -> int:
    try:
        return serve(networks, directory)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _ignore_and_forward(server: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(server, signal.SIGTERM))


def _watch(server: int) -> int:
    """Wait for the server's end, or for the owner's and then for the server's."""
    ended = os.pidfd_open(server)
    while True:
        readable, _, _ = select.select([ended, 0], [], [])
        if ended in readable:
            return _reap(server)
        if not os.read(0, 4096):
            break
    os.kill(server, signal.SIGTERM)
    if not select.select([ended], [], [], STOP_SECONDS)[0]:
        os.kill(server, signal.SIGKILL)
    return _reap(server)


def _reap(server: int) -> int:
    _, status = os.waitpid(server, 0)
    return os.waitstatus_to_exitcode(status) & 0xFF


def _kill_the_rest() -> None:
    """Kill what was adopted, and what that had started, until there is nothing left."""
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        if not children:
            return
        for child in children:
            os.kill(int(child), signal.SIGKILL)
            os.waitpid(int(child), 0)
