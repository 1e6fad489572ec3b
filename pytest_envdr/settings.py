"""Every option, ini key and environment variable: declared once, as a field of `Settings`, and resolved once.

Each has one stem: `--envdr-state-dir`, `envdr_state_dir`, `ENVDR_STATE_DIR`. What is given on the command line holds
over the environment, that over the ini file, that over the default; `Settings.sources` tells which it was.

This is also the only module that reads the environment.
"""

from __future__ import annotations

import getpass
import math
import os
import platform
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pytest_envdr.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

NO_INI = Path()


@dataclass(frozen=True)
class Option:
    """One row of the table that the plugin registers its options from, and the CLI its arguments.

    Attributes:
        name: the field of `Settings`.
        stem: what its three names are made of.
        help: one line.
        metavar: what the help calls its value.
        parse: text to value; raises ValueError with the reason. Takes the directory that relative paths start from.
        repeatable: it may be given more than once; the texts are joined by commas.
    """

    name: str
    stem: str
    help: str
    metavar: str
    parse: Callable[[str, Path], Any]
    repeatable: bool = False

    @property
    def flag(self) -> str:
        """The pytest option."""
        return "--envdr-" + self.stem.replace("_", "-")

    @property
    def argument(self) -> str:
        """The same option of the `envdr` command."""
        return "--" + self.stem.replace("_", "-")

    @property
    def dest(self) -> str:
        """Where argparse keeps it."""
        return "envdr_" + self.stem

    @property
    def ini(self) -> str:
        """The key in pytest's ini file."""
        return "envdr_" + self.stem

    @property
    def variable(self) -> str:
        """The environment variable."""
        return "ENVDR_" + self.stem.upper()


Lookup: TypeAlias = "Callable[[Option], str | Sequence[str] | None]"
"""What the command line, or the ini file, says of an option: None where it says nothing."""


def _option(
    help: str,  # noqa: A002 (argparse's word)
    *,
    metavar: str,
    parse: Callable[[str, Path], Any],
    stem: str | None = None,
    repeatable: bool = False,
) -> dict[str, Any]:
    """What makes a field of `Settings` an option."""
    return {"help": help, "metavar": metavar, "parse": parse, "stem": stem, "repeatable": repeatable}


def _path(text: str, start: Path) -> Path:
    if not text:
        raise ValueError("a path is needed, not an empty text")
    return start / Path(text).expanduser()


def _names(text: str, _: Path) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name for name in text.replace(",", " ").split()))
    if not names:
        raise ValueError(f"names separated by commas are needed, not {text!r}")
    return names


def _name(text: str, _: Path) -> str:
    if not text.strip():
        raise ValueError("a name is needed, not an empty text")
    return text.strip()


def _factor(text: str, _: Path) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"a number greater than 0 is needed, not {text!r}")
    return value


def _count(text: str, _: Path) -> int:
    if not (text.strip().isdecimal() and int(text) > 0):
        raise ValueError(f"a whole number greater than 0 is needed, not {text!r}")
    return int(text)


SOURCES = ("automated", "manual", "point-in-time", "backup")
"""What a database can be restored from: the newest automated snapshot, the newest manual one, the latest point in time,
the newest recovery point of AWS Backup."""


QUEUES = ("redis", "sqs")
"""Where the embedded sandbox's workers take their jobs from."""


TERRAFORM_LOCKS = ("file", "table")
"""What locks the state of the embedded sandbox's Terraform: a file beside it, or a table of DynamoDB's."""


def _terraform_lock(text: str, _: Path) -> str:
    if text not in TERRAFORM_LOCKS:
        raise ValueError(f"one of {', '.join(TERRAFORM_LOCKS)} is needed, not {text!r}")
    return text


def _queue(text: str, _: Path) -> str:
    if text not in QUEUES:
        raise ValueError(f"one of {', '.join(QUEUES)} is needed, not {text!r}")
    return text


def _sources(text: str, start: Path) -> tuple[str, ...]:
    names = _names(text, start)
    if unknown := [name for name in names if name not in SOURCES]:
        raise ValueError(f"one of {', '.join(SOURCES)} is needed, not {', '.join(unknown)}")
    return names


def default_state_directory() -> Path:
    """The user's state directory: ~/.local/state/envdr on Linux."""
    from platformdirs import user_state_path  # noqa: PLC0415 (an unused plugin imports nothing it does not need)

    return user_state_path("envdr", appauthor=False)


def cache_directory() -> Path | None:
    """The user's cache directory, ~/.cache/envdr on Linux, made where it is missing; None if unwritable."""
    from platformdirs import user_cache_path  # noqa: PLC0415 (an unused plugin imports nothing it does not need)

    directory = user_cache_path("envdr", appauthor=False)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return directory if os.access(directory, os.W_OK) else None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the user set, by whatever way. None: left open, the one who uses it knows the default."""

    stack: Path | None = field(
        default=None,
        metadata=_option(
            "the stack file: what is under test. Without one the embedded sandbox starts",
            metavar="FILE",
            parse=_path,
        ),
    )
    evidence: Path | None = field(
        default=None,
        metadata=_option("where the evidence goes (default: evidence/<exercise id>/)", metavar="DIR", parse=_path),
    )
    service: tuple[str, ...] = field(
        default=(),
        metadata=_option(
            "the services to exercise, as the stack file names them, separated by commas (default: all)",
            metavar="NAME",
            parse=_names,
            repeatable=True,
        ),
    )
    speed: float | None = field(
        default=None,
        metadata=_option(
            "what the embedded sandbox divides AWS-side delays by (default: 10)", metavar="FACTOR", parse=_factor
        ),
    )
    tenants: int | None = field(
        default=None,
        metadata=_option("how many tenants the embedded sandbox has (default: 20)", metavar="N", parse=_count),
    )
    queue: str | None = field(
        default=None,
        metadata=_option(
            f"where the embedded sandbox's queue is, of {', '.join(QUEUES)} (default: redis)",
            metavar="CONNECTION",
            parse=_queue,
        ),
    )
    terraform_lock: str | None = field(
        default=None,
        metadata=_option(
            f"what locks the embedded sandbox's Terraform state, of {', '.join(TERRAFORM_LOCKS)} (default: file)",
            metavar="LOCK",
            parse=_terraform_lock,
        ),
    )
    restore_from: tuple[str, ...] = field(
        default=(),
        metadata=_option(
            f"what databases are restored from, of {', '.join(SOURCES)}, separated by commas (default: all)",
            metavar="SOURCE",
            parse=_sources,
            repeatable=True,
        ),
    )
    tenant: str | None = field(
        default=None,
        metadata=_option(
            "the slug of the tenant that drills may damage (default: the stack file's drill_tenant)",
            metavar="SLUG",
            parse=_name,
        ),
    )
    copy_limit: int | None = field(
        default=None,
        metadata=_option(
            "objects of more bytes are copied in parts (default: S3's own limit, 5 GiB)", metavar="BYTES", parse=_count
        ),
    )
    state_directory: Path = field(
        default_factory=default_state_directory,
        metadata=_option(
            "where the undo journal is kept, wherever the evidence goes (default: the user's state directory)",
            metavar="DIR",
            parse=_path,
            stem="state_dir",
        ),
    )
    sources: Mapping[str, str] = field(default_factory=dict)

    def source(self, name: str) -> str:
        """Where a value came from, in words: `--envdr-stack`, `ENVDR_STACK`, `envdr_stack (ini)` or `default`."""
        return self.sources.get(name, "default")


OPTIONS: tuple[Option, ...] = tuple(
    Option(**{**row.metadata, "name": row.name, "stem": row.metadata["stem"] or row.name})
    for row in fields(Settings)
    if row.metadata
)


def resolve(
    option: Lookup,
    ini: Lookup = lambda _: None,
    *,
    ini_directory: Path = NO_INI,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """The settings of this run.

    Args:
        option: what the command line says, None where it says nothing.
        ini: what the ini file says, None or empty where it says nothing.
        ini_directory: where the ini file's relative paths start.
        environment: the variables; the process's own by default.

    Raises:
        UsageError: a value cannot be used; names the option, key or variable, and what it must be.
    """
    variables = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for row in OPTIONS:
        given = (
            (option(row), row.flag, Path.cwd()),
            (variables.get(row.variable) or None, row.variable, Path.cwd()),
            (ini(row) or None, f"{row.ini} (ini)", ini_directory),
        )
        for raw, source, start in given:
            if raw is not None and raw != []:
                values[row.name] = _parsed(row, raw, source, start)
                sources[row.name] = source
                break
    return Settings(**values, sources=sources)


def _parsed(row: Option, raw: str | Sequence[str], source: str, start: Path) -> Any:
    text = raw if isinstance(raw, str) else ",".join(raw)
    try:
        return row.parse(text, start)
    except ValueError as error:
        raise UsageError(f"{source}: {error}.\nTo go on: {row.flag} {row.metavar}: {row.help}.") from error


def search_path() -> str:
    """Where programs are looked for: the user's PATH, then the system directories (`mariadbd` is in /usr/sbin)."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])


NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "HOME")


def network_environment() -> dict[str, str]:
    """The variables that tell a program how it gets out of this machine, and where the user's files are."""
    return {name: value for name, value in os.environ.items() if name.upper() in NETWORK}


def child_environment() -> dict[str, str]:
    """The environment for children that are the user's own programs (git, this package again)."""
    return dict(os.environ)


def user() -> str:
    """Who runs this: the login name, or the numeric id where there is no name (containers)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"uid {os.getuid()}"


def host() -> str:
    """The machine's name."""
    return platform.node()


def in_ci() -> bool:
    """Whether a CI service runs this: `CI` is set by nearly all, `CODEBUILD_BUILD_ID` by AWS CodeBuild."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"} or "CODEBUILD_BUILD_ID" in os.environ


def in_xdist_worker() -> bool:
    """Whether this process is one of several that pytest-xdist started."""
    return "PYTEST_XDIST_WORKER" in os.environ
