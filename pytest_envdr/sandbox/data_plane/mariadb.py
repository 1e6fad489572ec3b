"""A MariaDB server: what stands behind an RDS instance's endpoint.

The options make it small and quick to start, and keep one promise: a transaction that was acknowledged survives the
death of the process. `innodb-flush-log-at-trx-commit=2` hands the log to the operating system at each commit; 0 would
lose commits in a copy of a frozen server's files. The binary log's name is relative, because an absolute one would have
a copy of the files open the original's logs.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import secrets
import shutil
import subprocess
from typing import TYPE_CHECKING

import pymysql

from pytest_envdr.errors import MissingProgram
from pytest_envdr.sandbox.data_plane.process import Server
from pytest_envdr.settings import search_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pymysql.connections import Connection
    from pymysql.cursors import Cursor

PORT = 3306
ADMIN = "rdsadmin"
"""The account by which the operator (RDS: AWS) looks after the server. The customer's is the master user."""

HISTORY = "history"
"""The file in the data directory that names the history of the server; see `mariadb_archive`."""

SIZE = (
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-file-size=4M",
    "--innodb-flush-method=nosync",
    "--innodb-doublewrite=0",
)
"""The options that shape the files too, and so hold for making them as well."""

OPTIONS = (
    *SIZE,
    "--skip-name-resolve",
    "--innodb-flush-log-at-trx-commit=2",
    "--sync-binlog=0",
    "--log-bin=bin",
    "--binlog-format=ROW",
    "--log-bin-trust-function-creators=ON",
    "--event-scheduler=ON",
    "--character-set-server=utf8mb4",
    "--collation-server=utf8mb4_unicode_ci",
    "--max-connections=200",
    "--max-allowed-packet=64M",
    "--table-open-cache=400",
    "--performance-schema=OFF",
    "--key-buffer-size=1M",
    "--aria-pagecache-buffer-size=1M",
    # Otherwise the first new table makes the system tablespace, and every copy of it, 64 MB larger.
    "--innodb-autoextend-increment=1",
    "--innodb-buffer-pool-load-at-startup=0",
    "--innodb-buffer-pool-dump-at-shutdown=0",
    # The socket is in the data directory (a relative path), where no path is too long for it.
    "--socket=mysql.sock",
    "--pid-file=mysqld.pid",
)

MASTER_PRIVILEGES = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, SHOW DATABASES, "
    "CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION SLAVE, BINLOG MONITOR, CREATE VIEW, SHOW VIEW, "
    "CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER"
)
"""What RDS grants to the master user of MariaDB: everything but the operator's own (SUPER, FILE, SHUTDOWN)."""


@functools.cache
def version() -> str:
    """The server's version as RDS names it, such as `10.11.9`.

    Raises:
        MissingProgram: there is no MariaDB server.
    """
    answer = subprocess.run([program("mariadbd"), "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"Ver (\d+\.\d+\.\d+)", answer.stdout)
    return found.group(1) if found else answer.stdout.strip()


def program(name: str) -> str:
    """The path of a program of MariaDB's.

    Raises:
        MissingProgram: it is not there.
    """
    path = search_path()
    found = shutil.which(name, path=path)
    if found is None:
        raise MissingProgram.named(name, searched=path)
    return found


def as_user() -> list[str]:
    """MariaDB refuses to run as root unless told to."""
    return ["--user=root"] if os.geteuid() == 0 else []


def master_user(name: str, password: str) -> list[str]:
    """The statements that make an account RDS's master user, or give it that password."""
    account = f"{_quoted(name)}@'%'"
    return [
        f"CREATE USER IF NOT EXISTS {account}",
        f"ALTER USER {account} IDENTIFIED BY {_quoted(password)}",
        f"GRANT {MASTER_PRIVILEGES} ON *.* TO {account} WITH GRANT OPTION",
    ]


def create_database(name: str) -> str:
    """The statement that makes a database unless it is there."""
    quoted = name.replace("`", "``")
    return f"CREATE DATABASE IF NOT EXISTS `{quoted}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"


def begin_history(data: Path) -> None:
    """Give a data directory a history of its own; see `mariadb_archive`."""
    (data / HISTORY).write_text(secrets.token_hex(8))


class MariaDB(Server):
    """A server over a data directory, which may be started again and again.

    Attributes:
        data: the data directory; `mariadbd`'s output goes to `<data>.log`.
        address: where it listens, at port 3306.
        operator_password: the password of `ADMIN`.
        variables: system variables by name that hold from the next start on, over `OPTIONS`: a parameter group. See
            `mariadb_variables`.
    """

    def __init__(
        self, data: Path, *, address: str, server_id: int = 1, variables: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"MariaDB at {address}")
        self.data = data
        self.address = address
        self.operator_password = secrets.token_hex(16)
        self.variables = dict(variables or {})
        self._server_id = server_id
        self._log_begins = 0

    @property
    def log(self) -> Path:
        return self.data.with_name(f"{self.data.name}.log")

    @property
    def history(self) -> str:
        """The name of the chain of transactions that the server's binary log is part of; made at the first start.

        It is in the data directory, and so in each copy: see `mariadb_archive`.
        """
        return (self.data / HISTORY).read_text()

    def start(self, statements: Iterable[str] = (), *, options: Iterable[str] = ()) -> None:
        """Start without waiting for it to be ready. `statements` are run before the first client is let in."""
        if not (self.data / HISTORY).exists():
            begin_history(self.data)
        self._log_begins = self.log.stat().st_size if self.log.exists() else 0
        command = [
            program("mariadbd"),
            "--no-defaults",
            *as_user(),
            *OPTIONS,
            *options,
            *(f"--{name}={value}" for name, value in self.variables.items()),
            # Last, so that nothing before holds over them.
            f"--datadir={self.data}",
            f"--bind-address={self.address}",
            f"--port={PORT}",
            f"--server-id={self._server_id}",
            f"--init-file={self._init_file(statements)}",
            f"--tmpdir={self._temporary_directory()}",
        ]
        self._run(command, cwd=self.data)

    def errors(self) -> list[str]:
        """What the server has complained of since it was last started: why it ended, where it did by itself."""
        if not self.log.exists():
            return []
        with self.log.open("rb") as log:
            log.seek(self._log_begins)
            lines = log.read().decode(errors="replace").splitlines()
        return [line.partition("[ERROR] ")[2] for line in lines if "[ERROR] " in line]

    def answers(self, *, timeout: float) -> bool:
        """Whether it logs the operator in and answers a query within `timeout` seconds each. Blocks that long."""
        try:
            with self.connect_as_operator(timeout=timeout) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                return cursor.fetchone() == (1,)
        except (pymysql.MySQLError, OSError):
            return False

    def execute(self, statements: Iterable[str], *, timeout: float) -> None:
        """Run statements as the operator, not written to the binary log."""
        with self.connect_as_operator(timeout=timeout) as connection, connection.cursor() as cursor:
            cursor.execute("SET sql_log_bin = 0")
            for statement in statements:
                cursor.execute(statement)

    def connect_as_operator(self, *, timeout: float) -> Connection[Cursor]:
        """A connection with all privileges."""
        return self.connect(ADMIN, self.operator_password, timeout=timeout)

    def connect(self, user: str, password: str, *, timeout: float, database: str | None = None) -> Connection[Cursor]:
        """A connection over the network, as every client has it."""
        return pymysql.connect(
            host=self.address,
            port=PORT,
            user=user,
            password=password,
            database=database,
            charset="utf8mb4",
            autocommit=True,
            # Else PyMySQL reads all of the system's certificates for each connection, which takes 35 ms.
            ssl_disabled=True,
            connect_timeout=max(1, round(timeout)),
            read_timeout=timeout,
            write_timeout=timeout,
        )

    def stop(self, *, grace: float = 0.0) -> None:
        super().stop(grace=grace)
        with contextlib.suppress(FileNotFoundError):
            self._init_path.unlink()
        shutil.rmtree(self._temporary, ignore_errors=True)

    @property
    def _temporary(self) -> Path:
        return self.data.with_name(f"{self.data.name}.tmp")

    def _temporary_directory(self) -> Path:
        """Its own: a server that starts removes all temporary tables that it finds, those of others too."""
        self._temporary.mkdir(exist_ok=True)
        return self._temporary

    @property
    def _init_path(self) -> Path:
        return self.data.with_name(f"{self.data.name}.sql")

    def _init_file(self, statements: Iterable[str]) -> Path:
        """Statements for the start, one a line; it holds passwords."""
        admin = f"'{ADMIN}'@'%'"
        lines = [
            "SET sql_log_bin = 0",
            f"CREATE USER IF NOT EXISTS {admin}",
            f"ALTER USER {admin} IDENTIFIED BY {_quoted(self.operator_password)}",
            f"GRANT ALL PRIVILEGES ON *.* TO {admin} WITH GRANT OPTION",
            *statements,
        ]
        path = self._init_path
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text("".join(f"{line};\n" for line in lines))
        return path


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
