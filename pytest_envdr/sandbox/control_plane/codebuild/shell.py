"""A phase's commands as a real process: one shell for all of them, whose variables and directory the next phase has."""

from __future__ import annotations

import shlex
import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pytest_envdr.sandbox.control_plane import logs
from pytest_envdr.sandbox.control_plane.codebuild.errors import PhaseFailed
from pytest_envdr.sandbox.data_plane.process import Process
from pytest_envdr.waiting import pause

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pytest_envdr.sandbox.world import World

LOOK_SECONDS = 0.02
BEFORE = """set -a
if [ -e {state}/variables ]; then . {state}/variables; cd "$(cat {state}/directory)" || exit 1; fi
trap 'export -p > {state}/variables; pwd > {state}/directory' EXIT
failed() {{ printf '%s\\n%s' "$1" "$2" > {state}/failed; exit "$1"; }}
"""


class Log:
    """A build's log stream in CloudWatch Logs."""

    def __init__(self, world: World, group: str, stream: str) -> None:
        self._world, self._group, self._stream = world, group, stream

    def say(self, *lines: str) -> None:
        """Append lines, as of now."""
        now = datetime.now(UTC)
        logs.ship(self._world, self._group, self._stream, [(now, line) for line in lines])

    def container(self, line: str) -> None:
        """A line of CodeBuild's own."""
        self.say(f"[Container] {datetime.now(UTC):%Y/%m/%d %H:%M:%S} {line}")


class Shell:
    """What runs a build's commands.

    Args:
        directory: for what it keeps between phases; must be there.
        source: where the first command begins.
        variables: the environment.
        log: where the output goes.
        attend: called again and again while a command runs; raises Interrupted to end it.
    """

    def __init__(
        self, directory: Path, source: Path, variables: Mapping[str, str], log: Log, attend: Callable[[], None]
    ) -> None:
        self._state, self._source = directory, source
        self._variables = dict(variables)
        self._log, self._attend = log, attend

    def run(self, name: str, commands: Sequence[str]) -> None:
        """Run commands until one fails.

        Raises:
            PhaseFailed: one did.
            Interrupted: by `attend`; its processes are gone.
        """
        script = self._state / f"{name}.sh"
        script.write_text(BEFORE.format(state=self._state) + "".join(map(_guarded, commands)))
        output = self._state / f"{name}.out"
        with output.open("wb") as written:
            process = Process.start(
                ["sh", str(script)], name=name, cwd=self._source, env=self._variables, output=written
            )
        code = self._attended(process, output)
        if code:
            raise PhaseFailed("COMMAND_EXECUTION_ERROR", self._why(code))

    def _attended(self, process: Process, output: Path) -> int:
        """The exit code; what it prints goes to the log as it is printed."""
        with output.open("r", errors="replace", newline="\n") as printed:
            rest = ""
            try:
                while (code := process.exit_code()) is None:
                    self._attend()
                    rest = self._ship(rest + printed.read())
                    pause(LOOK_SECONDS)
            finally:
                process.signal(signal.SIGKILL)
            rest = self._ship(rest + printed.read())
            self._ship(f"{rest}\n")
            return code

    def _ship(self, text: str) -> str:
        """Log the lines that are complete; what is not."""
        *lines, rest = text.split("\n")
        if lines:
            self._log.say(*lines)
        return rest

    def _why(self, code: int) -> str:
        failed = self._state / "failed"
        command = failed.read_text().partition("\n")[2] if failed.exists() else "sh"
        failed.unlink(missing_ok=True)
        return f"Error while executing command: {command}. Reason: exit status {code}"


def _guarded(command: str) -> str:
    quoted = shlex.quote(command)
    said = shlex.quote(f"[Container] Running command {command}")
    return f"printf '%s\\n' {said}\neval {quoted} || failed $? {quoted}\n"
