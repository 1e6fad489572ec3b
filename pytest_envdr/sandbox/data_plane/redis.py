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

from pytest_envdr.errors import MissingProgram
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


class Redis(Server):
    """A server that may be started again, empty each time; `directory` holds its log.

    Attributes:
        address: where it listens, at port 6379.
    """

    def __init__(self, directory: Path, *, address: str) -> None:
        super().__init__(f"Redis at {address}")
        self.directory = directory
        self.address = address

    @property
    def log(self) -> Path:
        return self.directory / "redis.log"

    def start(self) -> None:
        """Start, empty, without waiting for it to be ready."""
        self.directory.mkdir(parents=True, exist_ok=True)
        options = {
            "--bind": self.address,
            "--port": str(PORT),
            "--dir": str(self.directory),
            "--save": "",
            "--appendonly": "no",
            "--maxmemory-policy": "noeviction",
            "--protected-mode": "no",
        }
        command = [NAME, *(word for option in options.items() for word in option)]
        self._run(command, cwd=self.directory, executable=program())

    def answers(self, *, timeout: float) -> bool:
        """Whether it answers PING with PONG within `timeout` seconds. Blocks that long."""
        try:
            with socket.create_connection((self.address, PORT), timeout) as connection:
                connection.settimeout(timeout)
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
