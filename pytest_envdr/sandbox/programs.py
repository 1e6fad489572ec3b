"""The programs that the sandbox stands on: which are missing, and which Debian packages bring them.

`python -m pytest_envdr.sandbox.programs [PROGRAM ...]` prints the packages that are missing, for these programs as
well; nothing when all is there.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from pytest_envdr.errors import MissingProgram
from pytest_envdr.settings import search_path

ON_PATH = ("setpriv", "mariadbd", "mariadb-install-db", "mariadb", "mariadb-binlog", "haproxy", "php")
SYSTEM = "/usr/local/bin:/usr/bin:/bin"
LARAVEL = (Path("/usr/share/php/Illuminate/autoload.php"), Path("/usr/share/php/Illuminate/Redis"))
EXTENSIONS = {"pdo_mysql", "redis", "mbstring", "dom"}
SQS = "async-aws"
"""What Laravel reaches SQS by; a queue in Redis needs none."""
SQS_CLIENT = Path("/usr/share/php/AsyncAws/Sqs/autoload.php")


def missing(*more: str) -> list[str]:
    """The programs that are not there: of the sandbox's own, and of `more`, which the system must have: a version
    manager's stand-in on PATH may have nothing behind it."""
    names = [name for name in ON_PATH if shutil.which(name, path=search_path()) is None]
    names += [name for name in more if not _there(name)]
    if not _redis():
        names.append("redis-server")
    if "php" not in names and not _extensions() >= EXTENSIONS:
        names.append("PHP's extensions")
    if not all(path.exists() for path in LARAVEL):
        names.append("Laravel")
    return names


def require(*, queue: str = "redis") -> None:
    """Check that all is there that a sandbox with such a queue stands on.

    Raises:
        MissingProgram: names what is missing, where it was looked for and the packages that bring it.
    """
    names = missing(*([SQS] if queue == "sqs" else []))
    if names:
        raise MissingProgram.named(*names, searched=f"{search_path()}, {LARAVEL[0].parent.parent}")


def _there(name: str) -> bool:
    return SQS_CLIENT.exists() if name == SQS else shutil.which(name, path=SYSTEM) is not None


def _redis() -> bool:
    # redis-tools brings the server under the name of its dump checker; the package redis-server only adds a link.
    return any(shutil.which(name, path=search_path()) for name in ("redis-server", "redis-check-rdb"))


def _extensions() -> set[str]:
    listing = subprocess.run(["php", "-m"], capture_output=True, text=True, check=False).stdout
    return set(listing.lower().split())


if __name__ == "__main__":
    sys.stdout.write(MissingProgram.packages(*missing(*sys.argv[1:])))
