"""Snapshots and the archive of a real MariaDB under load: nothing torn, nothing lost, and right to the second."""

from __future__ import annotations

import tempfile
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from pytest_envdr.errors import PartFailed
from pytest_envdr.sandbox.data_plane import mariadb_snapshot
from pytest_envdr.sandbox.data_plane.mariadb import MariaDB, master_user
from pytest_envdr.sandbox.data_plane.mariadb_archive import Archive, restore
from pytest_envdr.sandbox.data_plane.mariadb_template import EMPTY, lay_out
from pytest_envdr.waiting import pause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USER, PASSWORD = "admin", "secret"
SECONDS = 30.0
ADDRESS, RESTORED, AGAIN = "127.4.64.10", "127.4.64.11", "127.4.64.12"
SCHEMA = (
    "CREATE DATABASE a",
    "CREATE DATABASE b",
    "CREATE TABLE a.account (id INT PRIMARY KEY, amount INT NOT NULL)",
    "CREATE TABLE b.account LIKE a.account",
    "CREATE TABLE a.journal (id INT AUTO_INCREMENT PRIMARY KEY, at DATETIME(6) NOT NULL, filling VARBINARY(900))",
    "INSERT INTO a.account SELECT seq, 1000 FROM a.seq_1_to_50",
    "INSERT INTO b.account SELECT seq, 1000 FROM a.seq_1_to_50",
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Where files are: on disk, or in memory, where InnoDB's log is mapped, and its times tell nothing."""
    if getattr(request, "param", "disk") == "disk":
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="envdr-test-", dir="/dev/shm") as directory:
        yield Path(directory)


@pytest.fixture
def server(place: Path, cache: Path) -> Iterator[MariaDB]:
    """Two databases with accounts to transfer between, and a journal."""
    lay_out(EMPTY, place / "data", cache=cache, address=ADDRESS)
    with _running(place / "data", ADDRESS, statements=master_user(USER, PASSWORD)) as server:
        for statement in SCHEMA:
            _rows(server, statement)
        yield server


@contextmanager
def _running(data: Path, address: str, *, server_id: int = 1, statements: list[str] | None = None) -> Iterator[MariaDB]:
    server = MariaDB(data, address=address, server_id=server_id)
    server.start(statements or [])
    try:
        server.wait_until_ready(deadline=SECONDS)
        yield server
    finally:
        server.stop()


def _rows(server: MariaDB, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with server.connect(USER, PASSWORD, timeout=SECONDS) as connection, connection.cursor() as cursor:
        cursor.execute(query, values or None)
        return list(cursor.fetchall())


def _journal(server: MariaDB) -> list[tuple[int, datetime]]:
    return [
        (number, at.replace(tzinfo=UTC)) for number, at in _rows(server, "SELECT id, at FROM a.journal ORDER BY id")
    ]


def _write(server: MariaDB) -> None:
    _rows(server, "INSERT INTO a.journal (at) VALUES (UTC_TIMESTAMP(6))")


@contextmanager
def _meanwhile(work: Callable[[], None]) -> Iterator[None]:
    """`work`, over and over."""
    ended, errors = threading.Event(), []

    def run() -> None:
        try:
            while not ended.is_set():
                work()
        except pymysql.MySQLError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert not errors


def _position(server: MariaDB) -> int:
    """The number of the last transaction in the binary log."""
    return int(_rows(server, "SELECT @@GLOBAL.gtid_binlog_pos")[0][0].rpartition("-")[2])


def _transferring(server: MariaDB, acknowledged: list[int]) -> Callable[[], None]:
    """Transfers from one database to the other, each with a line in the journal."""
    connection = server.connect(USER, PASSWORD, timeout=SECONDS)

    def transfer() -> None:
        with connection.cursor() as cursor:
            cursor.execute("START TRANSACTION")
            cursor.execute("UPDATE a.account SET amount = amount - 1 WHERE id = 1 + %s %% 50", (len(acknowledged),))
            cursor.execute("INSERT INTO a.journal (at, filling) VALUES (UTC_TIMESTAMP(6), RANDOM_BYTES(900))")
            number = cursor.lastrowid
            cursor.execute("UPDATE b.account SET amount = amount + 1 WHERE id = 1 + %s %% 50", (len(acknowledged),))
            cursor.execute("COMMIT")
        acknowledged.append(number)

    return transfer


@pytest.mark.parametrize("place", ["disk", "memory"], indirect=True)
def test_a_snapshot_under_load_is_one_instant_of_all_databases(server: MariaDB, place: Path) -> None:
    """Every transfer is there on both sides or on none, none that was acknowledged before is missing, no gaps; and the
    binary log that was copied with them ends with the last of them, so that what is replayed begins with the next."""
    # More than InnoDB's log holds: where it is mapped, its times then stay as they are, whatever is written to it.
    _rows(server, "CREATE TABLE a.warm SELECT RANDOM_BYTES(900) FROM a.seq_1_to_6000")
    position = _position(server)
    acknowledged: list[int] = []
    before: list[int] = []
    instants: list[datetime] = []
    with _meanwhile(_transferring(server, acknowledged)):
        for number in range(4):
            pause(0.3)
            before.append(len(acknowledged))
            instants.append(mariadb_snapshot.take(server, place / f"snapshot-{number}"))
    for number, instant in enumerate(instants):
        mariadb_snapshot.lay_out(place / f"snapshot-{number}", place / "r" / "data")
        with _running(place / "r" / "data", RESTORED) as restored:
            total = "SELECT (SELECT SUM(amount) FROM a.account) + (SELECT SUM(amount) FROM b.account)"
            assert _rows(restored, total) == [(100_000,)]
            journal = _journal(restored)
            assert [line for line, _ in journal] == list(range(1, len(journal) + 1))
            assert before[number] <= len(journal) <= len(acknowledged)
            assert _position(restored) - position == len(journal)
            assert all(at <= instant for _, at in journal)
            moved = _rows(restored, "SELECT SUM(amount) - 50000 FROM b.account")
            assert moved == [(len(journal),)]
            checked = _rows(restored, "CHECK TABLE a.account, a.journal, b.account")
            assert [row[3] for row in checked] == ["OK"] * 3


def test_a_snapshot_has_what_came_and_not_what_went(server: MariaDB, tmp_path: Path) -> None:
    """While databases come and go, a copy has exactly those of its instant, and nothing of the process."""
    done = 0

    def churn() -> None:
        nonlocal done
        done += 1
        _rows(server, f"CREATE DATABASE d{done}")
        _rows(server, f"CREATE TABLE d{done}.t (id INT)")
        _rows(server, f"DROP DATABASE d{done - 3}" if done > 3 else "DO 1")

    with _meanwhile(churn):
        pause(0.5)
        mariadb_snapshot.take(server, tmp_path / "snapshot")
    assert not [path for path in (tmp_path / "snapshot").rglob("*") if path.suffix in {".pid", ".sock"}]
    assert {path.name for path in tmp_path.iterdir()} == {"data", "data.log", "data.sql", "data.tmp", "snapshot"}
    restore(tmp_path / "snapshot", tmp_path / "r" / "data", address=RESTORED)
    with _running(tmp_path / "r" / "data", RESTORED) as restored:
        kept = [int(name[1:]) for (name,) in _rows(restored, "SHOW DATABASES LIKE 'd%'")]
        assert sorted(kept) == list(range(min(kept), max(kept) + 1))
        assert 1 <= len(kept) <= 4


def test_a_stopped_server_is_copied_too(server: MariaDB, tmp_path: Path) -> None:
    """What a server that was shut down holds is in its snapshot."""
    _write(server)
    server.stop(grace=SECONDS)
    mariadb_snapshot.take(server, tmp_path / "snapshot")
    restore(tmp_path / "snapshot", tmp_path / "r" / "data", address=RESTORED)
    with _running(tmp_path / "r" / "data", RESTORED) as restored:
        assert len(_journal(restored)) == 1


def test_no_data_is_told(tmp_path: Path) -> None:
    """A snapshot of nothing, and a restore from nothing, are errors, and leave nothing that looks like one."""
    with pytest.raises(PartFailed, match="No snapshot of"):
        mariadb_snapshot.take(MariaDB(tmp_path / "none", address=ADDRESS), tmp_path / "snapshot")
    with pytest.raises(PartFailed, match="could not be laid out"):
        restore(tmp_path / "none", tmp_path / "data", address=RESTORED)
    assert not (tmp_path / "snapshot").exists()


def test_restored_to_a_second(server: MariaDB, tmp_path: Path) -> None:
    """With a write each 50 ms, across a reboot, exactly those of before the second asked for are there; None is all."""
    archive = Archive(tmp_path / "archive")
    mariadb_snapshot.take(server, tmp_path / "snapshot")
    _write_for(server, 1.2)
    archive.ship(server)
    server.kill()
    server.stop()
    server.start()
    server.wait_until_ready(deadline=SECONDS)
    _write_for(server, 1.5)
    until = datetime.now(UTC).replace(microsecond=0)
    _write_for(server, 1.2)
    complete = archive.ship(server)
    written = _journal(server)
    assert until < written[-1][1] <= complete
    expected = {until: [line for line in written if line[1] < until], None: written}
    for wanted, lines in expected.items():
        restore(tmp_path / "snapshot", tmp_path / "r" / "data", address=RESTORED, archive=archive, until=wanted)
        with _running(tmp_path / "r" / "data", RESTORED, server_id=2) as restored:
            assert _journal(restored) == lines


def _write_for(server: MariaDB, seconds: float) -> None:
    end = datetime.now(UTC) + timedelta(seconds=seconds)
    while datetime.now(UTC) < end:
        _write(server)
        pause(0.05)


@pytest.mark.parametrize("later", [0, 2], ids=["as old as", "older than"])
def test_an_archive_that_ends_before_the_snapshot_adds_nothing(server: MariaDB, tmp_path: Path, later: int) -> None:
    """A point in time may be asked for before the first log after the snapshot is archived."""
    archive = Archive(tmp_path / "archive")
    _write(server)
    archive.ship(server)
    for _ in range(later):
        _write(server)
    mariadb_snapshot.take(server, tmp_path / "snapshot")
    restore(tmp_path / "snapshot", tmp_path / "r" / "data", address=RESTORED, archive=archive)
    with _running(tmp_path / "r" / "data", RESTORED, server_id=2) as restored:
        assert len(_journal(restored)) == 1 + later


def test_a_restored_server_can_be_restored_again(server: MariaDB, tmp_path: Path) -> None:
    """It begins a history of its own: its logs are numbered anew, in the same archive, and lead to its own state."""
    archive = Archive(tmp_path / "archive")
    mariadb_snapshot.take(server, tmp_path / "first")
    _write(server)
    archive.ship(server)
    restore(tmp_path / "first", tmp_path / "r" / "data", address=RESTORED, archive=archive)
    with _running(tmp_path / "r" / "data", RESTORED, server_id=2) as restored:
        mariadb_snapshot.take(restored, tmp_path / "second")
        _write(restored)
        _write(restored)
        archive.ship(restored)
        written = _journal(restored)
    _write(server)
    archive.ship(server)
    restore(tmp_path / "second", tmp_path / "again" / "data", address=AGAIN, archive=archive)
    with _running(tmp_path / "again" / "data", AGAIN, server_id=3) as again:
        assert _journal(again) == written
    assert len(written) == 3
    assert len(list((tmp_path / "archive").iterdir())) == 2


def test_events_do_not_run_on_what_is_being_restored(server: MariaDB, tmp_path: Path) -> None:
    """What an event wrote comes from the log, once; large and awkward values come through whole."""
    _rows(server, "CREATE TABLE a.blobs (id INT PRIMARY KEY, content LONGBLOB)")
    mariadb_snapshot.take(server, tmp_path / "snapshot")
    _rows(server, "CREATE EVENT a.e ON SCHEDULE EVERY 1 SECOND DO INSERT INTO a.journal (at) VALUES (UTC_TIMESTAMP(6))")
    content = bytes(range(256)) * 80_000
    _rows(server, "INSERT INTO a.blobs VALUES (1, %s)", content)
    pause(1.5)
    _rows(server, "DROP EVENT a.e")
    archive = Archive(tmp_path / "archive")
    archive.ship(server)
    restore(tmp_path / "snapshot", tmp_path / "r" / "data", address=RESTORED, archive=archive)
    with _running(tmp_path / "r" / "data", RESTORED) as restored:
        assert _journal(restored) == _journal(server) != []
        assert _rows(restored, "SELECT content FROM a.blobs") == [(content,)]


def test_a_transaction_that_cannot_be_applied_is_told(server: MariaDB, tmp_path: Path) -> None:
    """Logs that do not fit the snapshot, and logs that are damaged, are failures with the reason."""
    archive = Archive(tmp_path / "archive")
    server.execute(["INSERT INTO a.account VALUES (99, 1)"], timeout=SECONDS)
    mariadb_snapshot.take(server, tmp_path / "snapshot")
    server.execute(["DELETE FROM a.account WHERE id = 99"], timeout=SECONDS)
    _rows(server, "INSERT INTO a.account VALUES (99, 2)")
    archive.ship(server)
    with pytest.raises(PartFailed, match="Duplicate entry '99'"):
        restore(tmp_path / "snapshot", tmp_path / "r" / "data", address=RESTORED, archive=archive)
    for log in archive.logs(server.history):
        log.write_bytes(b"no log")
    with pytest.raises(PartFailed, match="could not be applied"):
        restore(tmp_path / "snapshot", tmp_path / "r" / "data", address=RESTORED, archive=archive)


def test_a_server_that_does_not_run_ships_nothing(server: MariaDB, tmp_path: Path) -> None:
    """What cannot be asked is an error, not a claim that the archive is complete."""
    server.stop()
    with pytest.raises(PartFailed, match="were not archived"):
        Archive(tmp_path / "archive").ship(server)
