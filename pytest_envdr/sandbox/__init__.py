"""An AWS account on this machine, in a process of its own.

moto answers the API; what it only stores, a control loop acts out on real parts: MariaDB, Redis, Laravel processes as
ECS tasks behind HAProxy. Loopback addresses only, Linux only. `Sandbox` is the one public name.

The stack stands in one Region; a second one is there, acted out alike on a network of its own, and costs nothing until
something is created in it. Any other Region is moto's: stored, or not implemented.

    api.py              what every API answer has: fidelity, request id, a log line, 501 for what is missing
    control_loop.py     the loop that makes recorded intent true
    control_plane/      one file an AWS service that moto does not act out
    data_plane/         one file a real part
    envelope/           the stack itself: names, application, databases, seed
    fidelity.py         acted, simulated, stored
    guardian.py         whatever ends, nothing is left behind
    regions.py          what it is for a Region to be cut off
    programs.py         what must be installed
    options.py          speed, tenants, queue, lock, port
    server.py           the process: API, control loop, seeded stack
    world.py            what every part shares
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from pytest_envdr.errors import PartFailed, UsageError
from pytest_envdr.sandbox.options import QUEUE, SPEED, TENANTS, TERRAFORM_LOCK, Options
from pytest_envdr.settings import cache_directory

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["Sandbox"]

STOP_SECONDS = 30.0


class Sandbox:
    """The embedded stack, from entering to leaving: `with Sandbox() as sandbox: ... sandbox.stack`.

    `cache` is where filled databases are kept between runs; by default the user's cache directory.

    Attributes:
        stack: the stack file that it wrote; gone when it ends.
        pid: its process.

    Entering blocks until all services are steady and their targets healthy.

    Raises:
        UsageError: not on Linux, a program is missing (names the packages), the port is taken, an option out of range.
        PartFailed: a part did not start; the end of its log is in the text.
    """

    def __init__(
        self,
        *,
        speed: float = SPEED,
        tenants: int = TENANTS,
        queue: str = QUEUE,
        terraform_lock: str = TERRAFORM_LOCK,
        port: int = 0,
        cache: Path | None = None,
        on_progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        if not sys.platform.startswith("linux"):
            raise UsageError(
                f"The embedded sandbox runs on Linux only, and this is {sys.platform}.\n"
                "To go on: name a stack with --envdr-stack; the plugin itself is not bound to Linux."
            )
        self._options = Options(speed, tenants, queue, terraform_lock, port, str(cache or cache_directory() or ""))
        self._on_progress = on_progress
        self._process: subprocess.Popen[str] | None = None
        self.stack = Path()
        self.pid = 0

    def __enter__(self) -> Self:
        from pytest_envdr.sandbox import programs  # noqa: PLC0415 (it is also run as a module of its own)

        programs.require(queue=self._options.queue)
        # Its own session: Ctrl-C in a terminal is the owner's to handle, and it ends by the owner's end.
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest_envdr.sandbox", self._options.to_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._process, self.pid = process, process.pid
        try:
            self.stack = self._await_ready(process.stdout)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def wait(self) -> int:
        """Block until the sandbox ends by itself; its exit code."""
        return 0 if self._process is None else self._process.wait()

    def _await_ready(self, lines: IO[str] | None) -> Path:
        for line in lines or ():
            kind, _, text = line.rstrip("\n").partition(" ")
            message = json.loads(text)
            if kind == "ready":
                return Path(message)
            if kind == "usage":
                raise UsageError(message)
            if kind == "failed":
                raise PartFailed(message)
            self._on_progress(message)
        raise PartFailed("The sandbox ended before it was ready, without saying why.")
