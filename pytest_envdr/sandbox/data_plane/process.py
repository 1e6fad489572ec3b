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
