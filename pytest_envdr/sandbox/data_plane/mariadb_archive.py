"""The archive of a server's binary logs, and what is restored from it: point-in-time recovery.

A server's *history* is the chain of its transactions from its beginning. Its name lies in the data directory, and so in
each snapshot: a restored server knows in which history to go on reading. When it has read as far as it shall, it begins
a history of its own, of which it can be restored again.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pymysql

from pytest_envdr.errors import PartFailed
from pytest_envdr.sandbox.data_plane import mariadb, mariadb_snapshot
from pytest_envdr.sandbox.data_plane.mariadb import ADMIN, PORT, MariaDB, program
from pytest_envdr.settings import search_path

if TYPE_CHECKING:
    from pathlib import Path

    from pymysql.cursors import Cursor

STATEMENT_SECONDS = 30.0
READY_SECONDS = 60.0
STOP_SECONDS = 60.0
NOTHING_AFTER = "Binary logs never reached expected GTID state"
"""What the reader fails with where the archive ends with what the snapshot holds already, or before it."""
LARGEST_PACKET = "1G"
"""A transaction's row comes out of a log a third larger than it went in."""


class Archive:
    """Binary logs of servers, kept apart from their data, which they outlive.

    One directory may serve one instance or all: each history has a directory of its own in it, so that the logs of an
    instance that is made anew under the same name meet no others of the same number.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def ship(self, server: MariaDB) -> datetime:
        """Have the server begin a new binary log, and take all that are complete over; they are dropped there.

        To be called while the server answers, at most once at a time for a server. Blocks for as long as copying takes.

        Returns:
            The instant (UTC) up to which the archive is complete: every transaction acknowledged before it is here.

        Raises:
            PartFailed: the server did not answer, or its logs could not be copied. What was taken over stays.
        """
        history = self.directory / server.history
        instant = datetime.now(UTC)
        try:
            history.mkdir(parents=True, exist_ok=True)
            with server.connect_as_operator(timeout=STATEMENT_SECONDS) as connection, connection.cursor() as cursor:
                cursor.execute("FLUSH NO_WRITE_TO_BINLOG BINARY LOGS")
                *complete, current = [row[0] for row in _rows(cursor, "SHOW BINARY LOGS")]
                for name in complete:
                    _keep(server.data / name, history / name)
                # What is still needed to recover from a crash stays, without an error, until the next time.
                cursor.execute("PURGE BINARY LOGS TO %s", (current,))
        except (pymysql.MySQLError, OSError) as error:
            raise PartFailed(
                f"The binary logs of the MariaDB at {server.address} were not archived: {error}"
            ) from error
        return instant

    def follow(self, other: Archive) -> None:
        """Take over what another archive has and this one has not. Blocks for as long as copying takes.

        Raises:
            PartFailed: a log could not be copied. What was taken over stays.
        """
        try:
            for log in sorted(other.directory.glob("*/bin.[0-9]*[0-9]")):
                kept = self.directory / log.parent.name / log.name
                kept.parent.mkdir(parents=True, exist_ok=True)
                _keep(log, kept)
        except OSError as error:
            raise PartFailed(f"The binary logs in {other.directory} were not copied: {error}") from error

    def logs(self, history: str) -> list[Path]:
        """The logs of a history, oldest first."""
        return sorted((self.directory / history).glob("bin.[0-9]*[0-9]"), key=lambda log: int(log.suffix[1:]))

    def replay(self, server: MariaDB, until: datetime | None = None) -> None:
        """Apply to a server what its history went on with after the state that it holds. Blocks; thousands a second.

        The server must be freshly started over a snapshot, with no other client and no events (`event-scheduler=OFF`).
        Nothing of it enters the server's own binary log.

        Args:
            server: its history and how far it is in it are the server's own knowledge.
            until: transactions are applied, in the order in which they were committed, up to the first one that began
                its commit at or after this second (a fraction counts for nothing, as RDS's RestoreTime has none); None
                for all that is archived. Nothing is taken back that the snapshot already holds.

        Raises:
            PartFailed: a log could not be read, or a transaction not be applied, with the program's words. What was
                applied before stays: the server is of no use then.
            MissingProgram: MariaDB's client programs are not installed.
        """
        logs = self.logs(server.history)
        if logs:
            _apply(_reading(logs, _position(server), until), server)


def restore(
    snapshot: Path, target: Path, *, address: str, archive: Archive | None = None, until: datetime | None = None
) -> None:
    """Make a restored server's data directory: a snapshot's content, recovered, and with `archive` gone on from there.

    Blocks. The server runs for a while at `address`, where nobody is to know it yet, without events, and is shut down
    cleanly. Its accounts are the snapshot's, as changed by what was replayed; its history is its own from here on.

    Args:
        snapshot: what `mariadb_snapshot.take` made.
        target: the data directory to make.
        address: where it may listen.
        archive: where the snapshot's history goes on, for a point-in-time recovery; None for the snapshot alone.
        until: see `Archive.replay`.

    Raises:
        PartFailed: it could not be laid out, did not start, or the logs could not be applied.
        MissingProgram: MariaDB is not installed.
    """
    mariadb_snapshot.lay_out(snapshot, target)
    server = MariaDB(target, address=address)
    server.start(options=["--event-scheduler=OFF", f"--max-allowed-packet={LARGEST_PACKET}"])
    try:
        server.wait_until_ready(deadline=READY_SECONDS)
        if archive is not None:
            archive.replay(server, until)
        begin_history(server)
    finally:
        server.stop(grace=STOP_SECONDS)


def begin_history(server: MariaDB) -> None:
    """Cut a restored server's ties to the history it came from: no logs, no position, a history of its own.

    Raises:
        PartFailed: the server did not answer.
    """
    try:
        server.execute(["RESET MASTER"], timeout=STATEMENT_SECONDS)
    except (pymysql.MySQLError, OSError) as error:
        raise PartFailed(f"The MariaDB at {server.address} could not begin a history: {error}") from error
    mariadb.begin_history(server.data)


def _keep(log: Path, kept: Path) -> None:
    """Copy a complete log unless that was done; no half copy ever bears the name."""
    if not kept.exists():
        half = kept.with_name(f"{kept.name}.half")
        shutil.copyfile(log, half)
        half.rename(kept)


def _position(server: MariaDB) -> str:
    """The last transaction of its history that the server holds, as a GTID; "" for none."""
    try:
        with server.connect_as_operator(timeout=STATEMENT_SECONDS) as connection, connection.cursor() as cursor:
            return str(_rows(cursor, "SELECT @@GLOBAL.gtid_binlog_pos")[0][0])
    except (pymysql.MySQLError, OSError) as error:
        raise PartFailed(f"The MariaDB at {server.address} did not say what it holds: {error}") from error


def _rows(cursor: Cursor, query: str) -> list[tuple[Any, ...]]:
    cursor.execute(query)
    return list(cursor.fetchall())


def _reading(logs: list[Path], position: str, until: datetime | None) -> list[str]:
    """The command that writes the transactions after `position` as statements."""
    command = [program("mariadb-binlog"), "--no-defaults", "--disable-log-bin"]
    if position:
        command.append(f"--start-position={position}")
    if until is not None:
        command.append(f"--stop-datetime={until.astimezone(UTC):%Y-%m-%d %H:%M:%S}")
    return [*command, *map(str, logs)]


def _apply(reading: list[str], server: MariaDB) -> None:
    applying = [
        program("mariadb"),
        "--no-defaults",
        "--protocol=tcp",
        f"--host={server.address}",
        f"--port={PORT}",
        f"--user={ADMIN}",
        "--skip-ssl",
        "--binary-mode",
        f"--max-allowed-packet={LARGEST_PACKET}",
    ]
    # The reader's times are local ones.
    environment = {"PATH": search_path(), "TZ": "UTC"}
    with (
        tempfile.TemporaryFile() as complaints,
        # Leaving closes the pipe, so that a reader whose statements nobody takes any more ends.
        subprocess.Popen(reading, env=environment, stdout=subprocess.PIPE, stderr=complaints) as reader,
    ):
        password = {"MYSQL_PWD": server.operator_password}
        applied = subprocess.run(
            applying, env={**environment, **password}, stdin=reader.stdout, capture_output=True, check=False
        )
        if reader.stdout:
            reader.stdout.close()
        code = reader.wait()
        complaints.seek(0)
        words = (applied.stderr + complaints.read()).decode(errors="replace").strip()
    if code and not applied.returncode and NOTHING_AFTER in words:
        return
    if code or applied.returncode:
        raise PartFailed(f"The archived transactions could not be applied to the MariaDB at {server.address}: {words}")
