"""A real program as a part of the stack: start, ready, died?, stop.

Each runs in a process group of its own and is killed by the kernel when the sandbox dies, however it dies
(`setpriv --pdeathsig`, util-linux).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Self

from pytest_envdr.errors import MissingProgram, PartFailed
from pytest_envdr.settings import search_path
from pytest_envdr.waiting import pause

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")
"""The one thread that starts programs: the kernel's death signal is bound to the thread that started the child, so it
must not be one that ends before the sandbox does (prctl(2), PR_SET_PDEATHSIG)."""


def _spawn(
    command: Sequence[str], cwd: Path, env: Mapping[str, str], output: IO[bytes] | int
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


class Process:
    """A running program and all that it started."""

    def __init__(self, popen: subprocess.Popen[bytes], *, name: str) -> None:
        self._popen = popen
        self.name = name
        self.pid = popen.pid

    @classmethod
    def start(
        cls,
        command: Sequence[str],
        *,
        name: str,
        cwd: Path,
        env: Mapping[str, str],
        output: IO[bytes] | int,
        executable: str | None = None,
    ) -> Self:
        """Start `command` without waiting for it to be ready.

        `env` is the whole environment but for PATH. `output` takes both standard output and standard error.
        `executable` is the program to run where it is not named by `command[0]` (then argv[0] stays `command[0]`).

        Raises:
            MissingProgram: the program is not installed.
        """
        argv = list(command)
        if executable is not None:
            # Debian's redis-server is another program under that name: `exec -a` keeps the name it acts upon.
            argv = ["bash", "-c", 'exec -a "$0" "$@"', command[0], executable, *command[1:]]
        guarded = ["setpriv", "--pdeathsig", "KILL", "--", *argv]
        try:
            popen = _SPAWNER.submit(_spawn, guarded, cwd, {"PATH": search_path(), **env}, output).result()
        except FileNotFoundError as error:
            raise MissingProgram.named("setpriv") from error
        return cls(popen, name=name)

    def exit_code(self) -> int | None:
        """The exit code as a shell and ECS report it (137 for SIGKILL), or None while running."""
        code = self._popen.poll()
        return 128 - code if code is not None and code < 0 else code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group; nothing happens when all of it is gone."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return

    def stop(self, *, grace: float) -> int:
        """SIGTERM, then after `grace` wall seconds SIGKILL; the exit code. Blocks: not for the control loop."""
        self.signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout=grace)
        self.signal(signal.SIGKILL)
        self._popen.wait()
        code = self.exit_code()
        return 0 if code is None else code

    def wait_until_ready(self, ready: Callable[[], bool], *, deadline: float, log: Path | None = None) -> None:
        """Poll `ready` every 10 ms.

        Raises:
            PartFailed: the program exited, or was not ready within `deadline` seconds; the end of `log` is in the text.
        """
        end = time.monotonic() + deadline
        while not ready():
            code = self.exit_code()
            if code is not None:
                raise PartFailed.exited(self.name, code, log)
            if time.monotonic() > end:
                raise PartFailed.not_ready(self.name, deadline, log)
            pause(0.01)


class Server(ABC):
    """A program that answers at an address, and may be started again and again."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._process: Process | None = None

    @property
    @abstractmethod
    def log(self) -> Path:
        """Where its output goes."""

    @abstractmethod
    def answers(self, *, timeout: float) -> bool:
        """Whether it answers a client's question within `timeout` seconds. Blocks that long."""

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def wait_until_ready(self, *, deadline: float) -> None:
        """Raises PartFailed where it exits or does not answer within `deadline` seconds."""
        if self._process:
            self._process.wait_until_ready(lambda: self.answers(timeout=deadline), deadline=deadline, log=self.log)

    def exit_code(self) -> int | None:
        """None while it runs; 0 where it was never started."""
        return self._process.exit_code() if self._process else 0

    def freeze(self) -> None:
        """Stop it in its tracks, as a storage snapshot or a hang does."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it run on."""
        self._signal(signal.SIGCONT)

    def terminate(self) -> None:
        """Ask it to shut down cleanly; `exit_code` tells when it has."""
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL; `exit_code` tells when it is gone."""
        self._signal(signal.SIGKILL)

    def stop(self, *, grace: float = 0.0) -> None:
        """Shut down within `grace` seconds, else kill. Blocks. Idempotent."""
        if self._process:
            self._process.stop(grace=grace)
            self._process = None

    def _run(self, command: Sequence[str], *, cwd: Path, executable: str | None = None) -> None:
        """Start it, without waiting for it to be ready. See `Process.start`."""
        with self.log.open("ab") as output:
            self._process = Process.start(
                command, name=self._name, cwd=cwd, env={}, output=output, executable=executable
            )

    def _signal(self, number: signal.Signals) -> None:
        if self._process:
            self._process.signal(number)
