"""HAProxy, which carries a load balancer's traffic: started, reloaded without a lost connection, asked, stopped.

Asynchronous, so that one thread drives all load balancers and one that hangs delays nobody. That thread must live as
long as HAProxy does: the kernel kills a child when the *thread* that started it ends.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import time
from typing import TYPE_CHECKING

from pytest_envdr.errors import MissingProgram, PartFailed
from pytest_envdr.sandbox.data_plane.haproxy_config import ERRORS, SOCKET, error_page
from pytest_envdr.sandbox.data_plane.process import Process
from pytest_envdr.settings import search_path

if TYPE_CHECKING:
    from pathlib import Path

READY_SECONDS = 5.0
ANSWER_SECONDS = 1.0
"""How long HAProxy may take to answer a command before it counts as hanging; it takes less than a millisecond."""


def check_installed() -> None:
    """Raises MissingProgram where there is no HAProxy."""
    path = search_path()
    if shutil.which("haproxy", path=path) is None:
        raise MissingProgram.named("haproxy", searched=path)


class HAProxy:
    """One HAProxy, or two while one takes over from the other; all its files are in `directory`."""

    def __init__(self, directory: Path, *, name: str) -> None:
        self.name = name
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        for status in ERRORS:
            (directory / f"{status}.http").write_text(error_page(status), newline="")
        # A path of a few bytes to the socket, however deep the directory is.
        self._handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        self._socket = f"/proc/self/fd/{self._handle}/{SOCKET}"
        self._current: Process | None = None
        self._replaced: list[Process] = []

    @property
    def pid(self) -> int | None:
        """The process that takes new connections."""
        return self._current.pid if self._current else None

    @property
    def log(self) -> Path:
        return self._directory / "log"

    def running(self) -> bool:
        """Whether the process is there; a hanging one is."""
        self._replaced = [process for process in self._replaced if process.exit_code() is None]
        return self._current is not None and self._current.exit_code() is None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all of its processes."""
        for process in [*self._replaced, *([self._current] if self._current else [])]:
            process.signal(number)

    async def load(self, configuration: str) -> None:
        """Start with `configuration`, or take over from the running process: listening sockets are handed on.

        Raises:
            PartFailed: HAProxy did not accept it; a process that ran before still runs.
        """
        (self._directory / "c").write_text(configuration)
        takeover = ["-x", SOCKET, "-sf", str(self.pid)] if self.running() else []
        with self.log.open("wb") as output:
            process = Process.start(
                ["haproxy", "-db", "-f", "c", *takeover], name=self.name, cwd=self._directory, env={}, output=output
            )
        try:
            await self._until_ready(process)
        except PartFailed:
            process.signal(signal.SIGKILL)
            raise
        if takeover and self._current:
            self._replaced.append(self._current)
        self._current = process

    async def ask(self, command: str) -> str:
        """The answer of the runtime API to one line.

        Raises:
            OSError: nobody answers there; TimeoutError where HAProxy hangs.
        """
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_unix_connection(self._socket)
            try:
                writer.write(command.encode() + b"\n")
                return (await reader.read(-1)).decode()
            finally:
                writer.close()

    def stop(self) -> None:
        """Kill what runs; an ALB that is deleted does not wait for its clients either. Idempotent."""
        for process in [*self._replaced, *([self._current] if self._current else [])]:
            process.stop(grace=0.0)
        self._replaced, self._current = [], None
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    async def _until_ready(self, process: Process) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not await self._answers(process.pid):
            code = process.exit_code()
            if code is not None:
                raise PartFailed.exited(self.name, code, self.log)
            if time.monotonic() > deadline:
                raise PartFailed.not_ready(self.name, READY_SECONDS, self.log)
            await asyncio.sleep(0.01)

    async def _answers(self, pid: int) -> bool:
        try:
            answer = await self.ask("show info")
        except OSError:
            return False
        return re.search(rf"^Pid: {pid}$", answer, re.MULTILINE) is not None
