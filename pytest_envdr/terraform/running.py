"""One command of Terraform: started, waited for, interrupted where it takes too long, and what it said."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from pytest_envdr.errors import TerraformFailed, WaitTimedOut
from pytest_envdr.settings import search_path
from pytest_envdr.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_envdr.terraform.program import Program
    from pytest_envdr.waiting import Progress

PROCESSES = Path("/proc")
DATA = "TF_DATA_DIR"
"""The variable by which a Terraform knows its working directory, and we it."""
GRACE_SECONDS = 30.0
"""How long Terraform may take to end after it was interrupted: it writes its state and gives its lock back."""


@dataclass(frozen=True)
class Run:
    """How a Terraform is run: which, on which root module, in which environment."""

    program: Program
    directory: Path
    environment: Mapping[str, str] = field(repr=False)

    def __call__(self, *arguments: str, deadline: float, progress: Progress | None = None, feed: bytes = b"") -> bytes:
        """What a command wrote on standard output.

        Args:
            arguments: the command and its own.
            deadline: seconds until it is interrupted.
            progress: told about once a second.
            feed: what it finds on standard input.

        Raises:
            TerraformFailed: it failed, with its own words, or did not end in time.
        """
        what = f"terraform {arguments[0]}"
        with tempfile.TemporaryFile() as words, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as given:
            given.write(feed)
            given.seek(0)
            process = self._started(arguments, given, output, words)
            try:
                code = _awaited(process, what, deadline, progress)
            except WaitTimedOut as error:
                _end(process)
                raise TerraformFailed.timed_out(what, deadline, self.directory, _read(words)) from error
            except BaseException:
                _end(process)
                raise
            if code:
                raise TerraformFailed.refused(what, self.directory, _read(words) or _read(output))
            output.seek(0)
            return output.read()

    def _started(
        self, arguments: Sequence[str], given: IO[bytes], output: IO[bytes], words: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        # Whoever runs it and is killed takes it along, by the interrupt that it ends cleanly at: it must not go on
        # into an undo. Its own session: Ctrl-C reaches it through us, once.
        setpriv = shutil.which("setpriv", path=search_path())
        guard = (setpriv, "--pdeathsig", "INT", "--") if setpriv else ()
        return subprocess.Popen(
            [*guard, *self.program.command, f"-chdir={self.directory}", *arguments],
            stdin=given,
            stdout=output,
            stderr=words,
            env=dict(self.environment),
            start_new_session=True,
        )


def at_work(data: str) -> bool:
    """Whether a Terraform with this data directory runs on this machine, whoever started it; a provider that outlives
    its Terraform is none. True where that cannot be told."""
    if not PROCESSES.is_dir():
        return True
    mark = f"{DATA}={data}".encode()
    for process in PROCESSES.glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile, or is not ours to look at
            said = (process / "environ").read_bytes().split(b"\0")
            if mark in said and b"-chdir=" in (process / "cmdline").read_bytes():
                return True
    return False


def _awaited(process: subprocess.Popen[bytes], what: str, deadline: float, progress: Progress | None) -> int:
    code = wait_until(
        process.poll,
        lambda code: code is not None,
        what=what,
        deadline=deadline,
        interval=0.02,
        longest_interval=0.25,
        progress=progress,
    )
    return int(code or 0)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _read(words: IO[bytes]) -> str:
    words.seek(0)
    return words.read().decode("utf-8", "replace").strip()
