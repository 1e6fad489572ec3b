"""Two real MariaDB servers with the same databases, one of them to be damaged."""

from __future__ import annotations

import functools
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pymysql

from pytest_envdr.sandbox.data_plane.mariadb import MariaDB, master_user
from pytest_envdr.sandbox.data_plane.mariadb_template import EMPTY, lay_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pymysql.connections import Connection

USER, PASSWORD = "master", "secret"
SECONDS = 60.0

TENANT = (
    "CREATE TABLE customers (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(100) NOT NULL,"
    " email VARCHAR(191) NULL, phone VARCHAR(191) NULL, note TEXT NULL, amount DECIMAL(12,2) NOT NULL DEFAULT 0,"
    " KEY by_name (name))",
    "INSERT INTO customers SELECT seq, CONCAT('Zoë ', seq), IF(seq % 3, CONCAT(seq, '@example'), NULL), NULL,"
    " IF(seq % 5, REPEAT('ü', seq), ''), seq * 1.25 FROM seq_1_to_200",
    "CREATE TABLE orders (customer INT UNSIGNED NOT NULL, number VARCHAR(20) COLLATE utf8mb4_unicode_ci NOT NULL,"
    " total DOUBLE NULL, PRIMARY KEY (customer, number), CONSTRAINT placed_by FOREIGN KEY (customer) REFERENCES"
    " customers (id), CONSTRAINT positive CHECK (total > 0))",
    "INSERT INTO orders SELECT seq, CONCAT('N-', seq), seq / 7 FROM seq_1_to_50",
    "CREATE TABLE log (line VARCHAR(100) NULL, at DATETIME(6) NULL)",
    "INSERT INTO log VALUES ('a', NULL), ('a', NULL), ('b', '2024-01-01'), (NULL, NULL), ('', NULL)",
    "CREATE TABLE dr_heartbeat (sequence BIGINT UNSIGNED NOT NULL PRIMARY KEY, written_at DATETIME(6) NOT NULL)",
    "INSERT INTO dr_heartbeat VALUES (1, '2024-01-01')",
    "CREATE VIEW totals AS SELECT customer, SUM(total) AS total FROM orders GROUP BY customer",
    "CREATE TRIGGER audited AFTER INSERT ON orders FOR EACH ROW INSERT INTO log VALUES (NEW.number, NULL)",
    "CREATE FUNCTION twice(x INT) RETURNS INT DETERMINISTIC RETURN x * 2",
    "CREATE PROCEDURE clean() DELETE FROM log",
    "CREATE EVENT hourly ON SCHEDULE EVERY 1 HOUR STARTS '2024-01-01' DO CALL clean()",
)
"""What each of the databases has: each kind of thing that can be lost."""
DATABASES = ("central", "tenant_a", "tenant_b")
ACCOUNTS = (
    "CREATE USER app@'%' IDENTIFIED BY 'one'",
    "GRANT SELECT, INSERT ON `tenant\\_a`.* TO app@'%'",
    "CREATE ROLE readers",
    "GRANT SELECT ON *.* TO readers",
)


@dataclass
class Server:
    """A server, and how to reach it as its master user."""

    mariadb: MariaDB

    @property
    def connect(self) -> Callable[[], Connection[Any]]:
        """A function that may be sent to another process."""
        return functools.partial(
            pymysql.connect, host=self.mariadb.address, user=USER, password=PASSWORD, ssl_disabled=True
        )

    def run(self, *statements: str, database: str | None = None) -> None:
        with self.mariadb.connect(USER, PASSWORD, timeout=SECONDS, database=database) as connection:
            for statement in statements:
                connection.cursor().execute(statement)

    def start(self, *more: str) -> None:
        temporary = self.mariadb.data.with_name(f"{self.mariadb.data.name}.tmp")
        temporary.mkdir(exist_ok=True)
        # A server that starts removes the temporary files of others in a directory that they share.
        options = [
            "--skip-log-bin",
            "--event-scheduler=OFF",
            f"--tmpdir={temporary}",
            "--innodb-fast-shutdown=0",
            *more,
        ]
        self.mariadb.start(master_user(USER, PASSWORD), options=options)
        self.mariadb.wait_until_ready(deadline=SECONDS)

    def stop(self) -> None:
        """Cleanly, so that every page is on disk."""
        self.mariadb.stop(grace=SECONDS)

    def clone(self, target: Path, *, address: str) -> Server:
        """A server over a copy of the files of this one, which must be stopped."""
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(["cp", "-a", "--reflink=auto", str(self.mariadb.data), str(target)], check=True)
        return Server(MariaDB(target, address=address))


def empty(directory: Path, *, address: str) -> Server:
    """A started server without databases."""
    lay_out(EMPTY, directory, cache=None, address=address)
    server = Server(MariaDB(directory, address=address))
    server.start()
    return server


def fill(server: Server, databases: Iterable[str] = DATABASES) -> None:
    """Write the databases."""
    for database in databases:
        server.run(f"CREATE DATABASE `{database}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
        server.run(*TENANT, database=database)


def dump(source: Server, target: Server, database: str, *, into: str) -> None:
    """A logical copy of a database, by the programs that everybody takes."""
    login = [f"--user={USER}", f"--password={PASSWORD}", "--port=3306", "--skip-ssl"]
    options = ["--single-transaction", "--routines", "--triggers", "--events", "--hex-blob"]
    host = f"--host={source.mariadb.address}"
    dumped = subprocess.run(
        ["mariadb-dump", "--no-defaults", *login, host, *options, database], capture_output=True, check=True
    )
    target.run(f"CREATE DATABASE `{into}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
    host = f"--host={target.mariadb.address}"
    subprocess.run(["mariadb", "--no-defaults", *login, host, into], input=dumped.stdout, check=True)
