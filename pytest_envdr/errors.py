"""What can go wrong, as one tree.

EnvdrError
├── UsageError            the user's mistake: one line, exit code 4
│   ├── StackFileError    the stack file is wrong: which key, why
│   └── MissingProgram    a program of the sandbox is not installed: which, and what brings it
├── Refused               the exercise would be unsafe or worthless, so nothing was touched
│   ├── NotCleared        account, Region, endpoint or approval
│   ├── Owed              an earlier run has not been undone
│   └── InUse             another run works on the same target
├── AwsError              AWS refused a call: which, about what, its code and words
│   └── NotFound          what a name stands for is not there: which name, where it was looked for and came from
├── WaitTimedOut          something awaited did not come true within its deadline
├── WaitFailed            something awaited can no longer come true
├── Aborted               the exercise was told to stop
├── JournalDamaged        the undo journal cannot be read or written
├── UndoFailed            the state before could not be brought back
└── PartFailed            a real part of the sandbox did not start, or died

Each message says what could not be done and to what, why, where it was looked for (`Looked at:`), and how to go on
(`To go on:`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = {
    "mariadbd": "mariadb-server-core",
    "mariadb-install-db": "mariadb-server-core",
    "mariadb": "mariadb-client",
    "mariadb-binlog": "mariadb-client",
    "redis-server": "redis-tools",
    "haproxy": "haproxy",
    "php": "php-cli php-mysql php-redis php-mbstring php-xml",
    "PHP's extensions": "php-mysql php-redis php-mbstring php-xml",
    "Laravel": "php-laravel-framework php-illuminate-redis",
    "async-aws": "php-async-aws-sqs",
    "setpriv": "util-linux",
    "aws": "awscli",
    "curl": "curl",
    "rclone": "rclone",
    "pt-table-checksum": "percona-toolkit",
}
"""The Debian packages that bring each program of the sandbox."""


class EnvdrError(Exception):
    """Anything this project raises on purpose."""


class UsageError(EnvdrError):
    """The user's mistake: shown as one message, exit code 4."""


class StackFileError(UsageError):
    """The stack file cannot be used."""


class MissingProgram(UsageError):
    """A program that the sandbox stands on is not installed."""

    @staticmethod
    def packages(*programs: str) -> str:
        """The Debian packages that bring them, each once, as apt-get takes them."""
        return " ".join(dict.fromkeys(" ".join(PACKAGES.get(program, program) for program in programs).split()))

    @classmethod
    def named(cls, *programs: str, searched: str | None = None) -> Self:
        """The error for programs of `PACKAGES` that were not found."""
        looked = f"\nLooked at: {searched}" if searched else ""
        return cls(
            f"The sandbox cannot start: {', '.join(programs)} not found.{looked}\n"
            f"To go on: apt-get install --no-install-recommends {cls.packages(*programs)}"
            "   (or name a stack with --envdr-stack)"
        )


class Refused(EnvdrError):
    """The exercise was refused before anything was touched."""


class NotCleared(Refused):
    """This run may not touch that target."""


class Owed(Refused):
    """A change of an earlier run has not been undone."""


class InUse(Refused):
    """Another run works on the same target."""


class AwsError(EnvdrError):
    """AWS refused a call. `code` is AWS's own: "AccessDeniedException"."""

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class NotFound(AwsError):
    """What a name stands for is not there."""


class WaitTimedOut(EnvdrError):
    """Something awaited did not come true within its deadline: `awaited`, and the `last` value seen, in words."""

    def __init__(self, message: str, *, awaited: str = "", last: str = "") -> None:
        super().__init__(message)
        self.awaited = awaited
        self.last = last


class WaitFailed(EnvdrError):
    """Something awaited can no longer come true."""


class Aborted(EnvdrError):
    """The exercise was told to stop."""


class JournalDamaged(EnvdrError):
    """The undo journal cannot be read or written."""


class UndoFailed(EnvdrError):
    """The state before could not be brought back."""


class PartFailed(EnvdrError):
    """A real part of the sandbox did not start, or died."""

    @classmethod
    def exited(cls, name: str, code: int, log: Path | None) -> Self:
        return cls(f"{name} exited with code {code} before it was ready.{_tail(log)}")

    @classmethod
    def not_ready(cls, name: str, deadline: float, log: Path | None) -> Self:
        return cls(f"{name} was not ready within {deadline:g} s.{_tail(log)}")


def _tail(log: Path | None) -> str:
    if log is None or not log.exists():
        return ""
    return f"\nLooked at: {log}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-10:])
