"""One execution of a function: a real process with the function's code, environment, time and memory.

Each execution is a cold start, in a process and a directory of its own; on AWS the next one may find the same
environment, warm. The time-out begins when the function's module is loaded, as on AWS, and is not divided by the
sandbox's speed: it is the function's own.
"""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import signal
import sys
import time
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pytest_envdr.sandbox.control_plane import logs
from pytest_envdr.sandbox.control_plane.awslambda import environment, metrics
from pytest_envdr.sandbox.data_plane.process import Process
from pytest_envdr.waiting import pause

if TYPE_CHECKING:
    import threading
    from typing import TextIO

    from pytest_envdr.sandbox.control_plane.awslambda.function import Deployment
    from pytest_envdr.sandbox.world import World

BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
LOOK_SECONDS = 0.01
LOAD_SECONDS = 60.0
"""How long a function's module may take to load. Lambda gives it ten; here others need the processor as well."""
TAIL_BYTES = 4096
"""How much of the log a synchronous answer may have."""
UNHANDLED = "Unhandled"
PEAK = re.compile(rb"VmHWM:\s+(\d+) kB")


@dataclass(frozen=True)
class Outcome:
    """What came of an execution.

    Attributes:
        payload: what the handler returned, or the error; JSON.
        error: `FunctionError`; "" where there is none.
        message: the error's, for a dead-letter queue.
        tail: the log's last 4 KB, base64.
    """

    payload: str
    error: str = ""
    message: str = ""
    tail: str = ""


class Execution:
    """A function's run with one event.

    Args:
        world: where files are kept, and who it calls.
        deployment: what is run.
        event: JSON.
        request_id: the invocation's, the same for all its attempts.
        stopping: set where the sandbox ends, and all that runs with it.
    """

    def __init__(
        self, world: World, deployment: Deployment, event: str, request_id: str, stopping: threading.Event
    ) -> None:
        self._world, self._deployment, self._event = world, deployment, event
        self._request, self._stopping = request_id, stopping
        self._stream = f"{world.now():%Y/%m/%d}/[{deployment.version}]{uuid4().hex}"
        self._directory = world.directory / "awslambda" / uuid4().hex
        self._peak = 0
        self._late = False
        self._said: list[str] = []

    def run(self) -> Outcome:
        """Run it to its end. Blocks."""
        self._directory.mkdir(parents=True)
        try:
            return self._run()
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _run(self) -> Outcome:
        deployment = self._deployment
        self._say(f"START RequestId: {self._request} Version: {deployment.version}")
        begun = time.monotonic()
        process, output = self._started()
        with output:
            try:
                loaded = self._awaited(process, output, "ready", LOAD_SECONDS)
                called = time.monotonic()
                in_time = loaded and self._awaited(process, output, "response.json", deployment.seconds)
                ended = time.monotonic()
            finally:
                process.stop(grace=0)
        answer = self._answer(process, in_time=in_time)
        self._say(f"END RequestId: {self._request}")
        milliseconds = 1000 * (min(ended, called + deployment.seconds) - called) if loaded else 1000 * (ended - begun)
        self._report(milliseconds, 1000 * (called - begun))
        error = answer.get("error")
        metrics.publish(
            self._world, deployment.name, Invocations=1, Duration=milliseconds, Errors=0 if error is None else 1
        )
        if error is None:
            return Outcome(answer["value"], tail=self._tail())
        return Outcome(json.dumps(error), UNHANDLED, str(error["errorMessage"]), self._tail())

    def _started(self) -> tuple[Process, TextIO]:
        """The process, and what it prints."""
        deployment = self._deployment
        code = self._code()
        told = {
            "root": str(code),
            "handler": deployment.handler,
            "event": json.loads(self._event),
            "request_id": self._request,
            "name": deployment.name,
            "version": deployment.version,
            "arn": deployment.arn,
            "mebibytes": deployment.mebibytes,
            "group": deployment.group,
            "stream": self._stream,
            "seconds": deployment.seconds,
        }
        (self._directory / "invocation.json").write_text(json.dumps(told))
        path = self._directory / "output"
        with path.open("wb") as written:
            process = Process.start(
                [sys.executable, "-I", "-u", str(BOOTSTRAP), str(self._directory)],
                name=deployment.name,
                cwd=code,
                env=environment.variables(
                    self._world, deployment, stream=self._stream, code=code, temporary=self._directory
                ),
                output=written,
            )
        return process, path.open("r", errors="replace", newline="\n")

    def _code(self) -> Path:
        """The directory with the function's code, unzipped once for all executions of it."""
        directory = self._world.directory / "awslambda" / "code" / self._deployment.digest
        if not directory.exists():
            made = self._directory / "code"
            with zipfile.ZipFile(io.BytesIO(self._deployment.code)) as archive:
                archive.extractall(made)
            directory.parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # another execution was first
                made.rename(directory)
        return directory

    def _awaited(self, process: Process, output: TextIO, name: str, seconds: float) -> bool:
        """Whether a file was made in time. What is printed meanwhile is logged. Not if the process ended without it,
        was killed for its memory, or answered already."""
        end = time.monotonic() + seconds
        rest = ""
        while True:
            made = (self._directory / name).exists()
            ended = made or process.exit_code() is not None or (self._directory / "response.json").exists()
            rest = self._log(rest + output.read())
            self._late = not ended and time.monotonic() > end
            if ended or self._late or self._stopping.is_set() or self._too_large(process):
                self._log(f"{rest}\n")
                return made or (self._directory / name).exists()
            pause(LOOK_SECONDS)

    def _too_large(self, process: Process) -> bool:
        """Whether it holds more memory than the function may have; then it is killed, as the kernel does it on AWS."""
        with suppress(OSError):  # it ended meanwhile
            found = PEAK.search(Path(f"/proc/{process.pid}/status").read_bytes())
            self._peak = max(self._peak, int(found[1]) // 1024 if found else 0)
        if self._peak <= self._deployment.mebibytes:
            return False
        process.signal(signal.SIGKILL)
        return True

    def _answer(self, process: Process, *, in_time: bool) -> dict[str, Any]:
        """What the handler answered, or what Lambda says in its stead."""
        response = self._directory / "response.json"
        if in_time or response.exists():
            answer: dict[str, Any] = json.loads(response.read_text())
            return answer
        code = process.exit_code() or 0
        if self._late:
            kind, why = "Sandbox.Timedout", f"Task timed out after {self._deployment.seconds:.2f} seconds"
            self._say(f"{_stamp()} {self._request} {why}")
        else:
            status = "signal: killed" if code == 128 + signal.SIGKILL else f"exit status {code}"
            kind, why = "Runtime.ExitError", f"Runtime exited with error: {status}"
            self._say(f"RequestId: {self._request} Error: {why}\r{kind}")
        return {"error": {"errorType": kind, "errorMessage": f"RequestId: {self._request} Error: {why}"}}

    def _report(self, milliseconds: float, load: float) -> None:
        parts = (
            f"REPORT RequestId: {self._request}",
            f"Duration: {milliseconds:.2f} ms",
            f"Billed Duration: {int(milliseconds) + 1} ms",
            f"Memory Size: {self._deployment.mebibytes} MB",
            f"Max Memory Used: {self._peak} MB",
            f"Init Duration: {load:.2f} ms",
        )
        self._say("\t".join(parts))

    def _log(self, text: str) -> str:
        """Log the lines that are complete; what is not."""
        *lines, rest = text.split("\n")
        self._say(*lines)
        return rest

    def _say(self, *lines: str) -> None:
        now = datetime.now(UTC)
        kept = [line for line in lines if line]
        self._said += kept
        logs.ship(self._world, self._deployment.group, self._stream, [(now, line) for line in kept])

    def _tail(self) -> str:
        text = "".join(f"{line}\n" for line in self._said)
        return base64.b64encode(text.encode()[-TAIL_BYTES:]).decode()


def _stamp() -> str:
    return f"{datetime.now(UTC).isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"
