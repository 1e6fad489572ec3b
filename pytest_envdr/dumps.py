"""A database as a file: dumped and loaded by MariaDB's own programs, which know every kind of object.

A dump holds tables with their rows, views, triggers, routines and events; `mariadb-dump` leaves the last two out unless
asked (aws-semantics 2.2). What it says of definers is rewritten where they are not the one who loads it: on RDS nobody
may create an object in another's name (error 1227).
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from typing import IO, TYPE_CHECKING

from pytest_envdr.errors import EnvdrError, MissingProgram
from pytest_envdr.mariadb import quoted, session
from pytest_envdr.settings import search_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from pytest_envdr.mariadb import Server

DUMP, CLIENT = ("mariadb-dump", "mysqldump"), ("mariadb", "mysql")
"""The programs, by the name that they are looked for first."""
OPTIONS = (
    "--single-transaction",
    "--routines",
    "--triggers",
    "--events",
    "--hex-blob",
    "--default-character-set=utf8mb4",
    "--skip-dump-date",
    "--skip-comments",
    "--max-allowed-packet=1G",
)
ESCAPED = re.compile("[\0\n\r\x1a\\\\'\"]")
"""Databases with these in their names: `mariadb-dump` looks for their events under the name as it stands in a string,
and does not find them (seen with 10.11)."""
SECONDS = 3600.0
"""How long a dump or a load may take."""
DEFINER = re.compile(rb"DEFINER=`((?:[^`]|``)*)`@`((?:[^`]|``)*)`")
CREATING = re.compile(rb"\s*(/\*![0-9]* ?)?(CREATE\b|ALTER\b|DEFINER=)")
"""How a line begins that makes an object; rows may contain anything, and are left alone."""
SANDBOX_MODE = re.compile(rb"/\*M?!999999\\?- enable the sandbox mode \*/")
"""A first line that older clients, and all of MySQL's, do not understand (aws-semantics 2.3)."""


@dataclass(frozen=True)
class Dump:
    """A database as a file.

    Attributes:
        path: the file (SQL).
        database: whose content it is.
        sha256: its hash.
        create: the statement that makes a database of the same character set and collation; `{}` is its name.
        client: the program that wrote it, with its version.
    """

    path: Path
    database: str
    sha256: str
    create: str
    client: str


def dump(server: Server, database: str, path: Path) -> Dump:
    """Write a database to a file.

    Raises:
        MissingProgram: `mariadb-dump` is not installed.
        EnvdrError: it could not be dumped; with the program's own words.
    """
    program, escaped = _program(DUMP), bool(ESCAPED.search(database))
    options = [option for option in OPTIONS if not (escaped and option == "--events")]
    with _login(server) as login, path.open("wb") as file:
        _run(login, [program, *options, "--", database], what=f"{database} could not be dumped", output=file)
    if escaped:
        _append_events(server, database, path)
    create = _created(server, database)
    return Dump(path, database, sha256(path), create, version(program))


def load(server: Server, dumped: Dump, database: str) -> None:
    """Make a database anew from a dump: what was there under that name is dropped first.

    Raises:
        MissingProgram: the `mariadb` client is not installed.
        EnvdrError: the file is not what was dumped, or could not be loaded; the database may then be there in part.
    """
    if sha256(dumped.path) != dumped.sha256:
        raise EnvdrError(f"The dump of {dumped.database} is not what was written.\nLooked at: {dumped.path}")
    name = quoted(database)
    before = f"DROP DATABASE IF EXISTS {name}; {dumped.create.replace('{}', name, 1)}; USE {name};\n".encode()
    command = [_program(CLIENT), "--binary-mode", "--default-character-set=utf8mb4", "--max-allowed-packet=1G"]
    with _login(server) as login, dumped.path.open("rb") as lines:
        feed = chain([before], (rewritten(line, server.user) for line in lines))
        _feed(login, command, feed, what=f"{database} could not be loaded")


def rewritten(line: bytes, user: str) -> bytes:
    """A line of a dump as `user` may load it: objects are its own, and no client stumbles."""
    if not CREATING.match(line):
        return SANDBOX_MODE.sub(b"", line) if b"999999" in line else line
    own = user.replace("`", "``").encode()
    return DEFINER.sub(lambda found: found.group() if found.group(1) == own else b"DEFINER=CURRENT_USER", line)


def sha256(path: Path) -> str:
    """A file's hash.

    Raises:
        EnvdrError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EnvdrError(f"A dump cannot be read: {error.strerror}.\nLooked at: {path}") from error


def version(program: str) -> str:
    """What a program says of itself."""
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return " ".join(answer.stdout.split())


def _created(server: Server, database: str) -> str:
    """`SHOW CREATE DATABASE`, with `{}` for the name."""
    with session(server) as cursor:
        cursor.execute(f"SHOW CREATE DATABASE {quoted(database)}")
        row = cursor.fetchone()
    return str(row[1]).strip().replace(quoted(database), "{}", 1) if row else "CREATE DATABASE {}"


def _append_events(server: Server, database: str, path: Path) -> None:
    """The events, as `mariadb-dump` writes them."""
    with session(server, database=database) as cursor, path.open("a", encoding="utf-8") as file:
        cursor.execute("SELECT event_name FROM information_schema.events WHERE event_schema = %s", (database,))
        for (name,) in cursor.fetchall():
            cursor.execute(f"SHOW CREATE EVENT {quoted(name)}")
            _, mode, zone, create, client, collation, _ = cursor.fetchone() or ()
            settings = cursor.mogrify(
                "SET @kept_mode = @@sql_mode, @kept_zone = @@time_zone; SET sql_mode = %s, time_zone = %s,"
                " character_set_client = %s, collation_connection = %s;",
                (mode, zone, client, collation),
            )
            back = "SET NAMES utf8mb4; SET sql_mode = @kept_mode, time_zone = @kept_zone;"
            file.write(f"{settings}\nDELIMITER ;;\n{create} ;;\nDELIMITER ;\n{back}\n")


def _program(names: Sequence[str]) -> str:
    path = search_path()
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    raise MissingProgram(
        f"{' or '.join(names)} not found: databases cannot be dumped or loaded.\nLooked at: {path}\n"
        "To go on: apt-get install --no-install-recommends mariadb-client"
    )


@contextmanager
def _login(server: Server) -> Iterator[int]:
    """The descriptor of a file that tells a program where to log in. It has no name, so that nothing of the password is
    left, however this process ends."""
    with tempfile.TemporaryFile("w") as file:
        password = server.password.replace("\\", "\\\\").replace('"', '\\"')
        user = server.user.replace("\\", "\\\\").replace('"', '\\"')
        file.write(f'[client]\nhost="{server.host}"\nport={server.port}\nuser="{user}"\npassword="{password}"\n')
        file.write("protocol=tcp\n")
        file.flush()
        yield file.fileno()


def _run(login: int, command: Sequence[str], *, what: str, output: IO[bytes]) -> None:
    try:
        answer = subprocess.run(
            [command[0], f"--defaults-file=/dev/fd/{login}", *command[1:]],
            pass_fds=(login,),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            env={"PATH": search_path()},
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EnvdrError(f"{what}: not within {SECONDS:g} s.") from error
    if answer.returncode:
        raise EnvdrError(f"{what}: {answer.stderr.decode('utf-8', 'replace').strip()}")


def _feed(login: int, command: Sequence[str], lines: Iterable[bytes], *, what: str) -> None:
    """Through a pipe: whoever feeds it and is killed takes the client with it, so that no load goes on into an undo."""
    with tempfile.TemporaryFile() as complaints:
        with (
            subprocess.Popen(
                [command[0], f"--defaults-file=/dev/fd/{login}", *command[1:]],
                pass_fds=(login,),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=complaints,
                env={"PATH": search_path()},
            ) as client,
            suppress(BrokenPipeError),  # it ended at an error, and says which
        ):
            if client.stdin:
                client.stdin.writelines(lines)
                client.stdin.close()
        complaints.seek(0)
        words = complaints.read().decode("utf-8", "replace").strip()
    if client.returncode:
        raise EnvdrError(f"{what}: {words}")
