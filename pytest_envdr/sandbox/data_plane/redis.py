"""A Redis server: what stands behind an ElastiCache node's endpoint.

Without persistence, as an ElastiCache node is by default: a node that dies loses what it held.
"""

from __future__ import annotations

import functools
import re
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING

from pytest_envdr.errors import MissingProgram, PartFailed
from pytest_envdr.sandbox.data_plane.process import Server
from pytest_envdr.settings import search_path

if TYPE_CHECKING:
    from pathlib import Path

PORT = 6379
NAME = "redis-server"
SAME_PROGRAM = ("redis-check-rdb", "redis-check-aof")
"""The server under other names: it acts by the name it is called by, and Debian's `redis-tools` brings these only."""


@functools.cache
def program() -> str:
    """The path of the server's program.

    Raises:
        MissingProgram: there is no Redis.
    """
    path = search_path()
    found = next((found for name in (NAME, *SAME_PROGRAM) if (found := shutil.which(name, path=path))), None)
    if found is None:
        raise MissingProgram.named(NAME, searched=path)
    return found


@functools.cache
def version() -> str:
    """The server's version, such as `7.0.15`. Raises MissingProgram."""
    answer = subprocess.run([NAME, "--version"], executable=program(), capture_output=True, text=True, check=True)
    found = re.search(r"v=(\d+\.\d+\.\d+)", answer.stdout)
    return found.group(1) if found else answer.stdout.strip()


DEFAULTS = {
    "port": str(PORT),
    "save": "",
    "appendonly": "no",
    "maxmemory-policy": "noeviction",
    "protected-mode": "no",
    # A replica asks for everything at once, and does not wait for others that may ask too.
    "repl-diskless-sync-delay": "0",
}
"""What it is started with unless its `options` say otherwise."""
LISTS = frozenset({"bind", "replicaof"})
"""Options of several words."""


class Redis(Server):
    """A server that may be started again, empty each time unless it keeps an append-only file.

    Attributes:
        address: where it listens, at port 6379; it may be told to listen at others too.
        directory: holds its log and its append-only file.
        options: what it is started with beside `DEFAULTS`.
    """

    def __init__(self, directory: Path, *, address: str) -> None:
        super().__init__(f"Redis at {address}")
        self.directory = directory
        self.address = address
        self.options: dict[str, str] = {}

    @property
    def log(self) -> Path:
        return self.directory / "redis.log"

    def start(self) -> None:
        """Start without waiting for it to be ready: empty, but for what an append-only file keeps."""
        self.directory.mkdir(parents=True, exist_ok=True)
        options = {"bind": self.address, "dir": str(self.directory), **DEFAULTS, **self.options}
        self._forget(keep_writes=options["appendonly"] == "yes")
        command = [NAME]
        for name, value in options.items():
            command += [f"--{name}", *(value.split() if name in LISTS else [value])]
        self._run(command, cwd=self.directory, executable=program())

    def answers(self, *, timeout: float) -> bool:
        """Whether it answers PING with PONG within `timeout` seconds. Blocks that long."""
        try:
            return self.ask("PING", timeout=timeout) == "PONG"
        except (OSError, PartFailed):
            return False

    def ask(self, *words: str, timeout: float) -> str:
        """What it answers to a command: a line, or a text. Blocks for up to `timeout` seconds.

        Raises:
            OSError: it does not answer.
            PartFailed: it refuses; says why.
        """
        said = b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in map(str.encode, words))
        with socket.create_connection((self.address, PORT), timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(b"*%d\r\n%s" % (len(words), said))
            with connection.makefile("rb") as answer:
                first = answer.readline().decode().rstrip("\r\n")
                text = answer.read(int(first[1:])).decode() if first.startswith("$") else first[1:]
        if not first:
            raise OSError(f"Redis at {self.address} hung up")
        if first.startswith("-"):
            raise PartFailed(f"Redis at {self.address} refuses {' '.join(words)}: {text}")
        return text

    def _forget(self, *, keep_writes: bool) -> None:
        """Remove what a start would load: the image that a primary sent, and the log of writes unless it is kept."""
        for image in self.directory.glob("*.rdb"):
            image.unlink()
        if not keep_writes:
            for kept in self.directory.glob("appendonly*"):
                shutil.rmtree(kept) if kept.is_dir() else kept.unlink()
