"""Database verification, side by side with what others take for it, on the same restored server.

Each run starts with the server started anew: nothing is in its memory, as right after a restore. The peers say nothing
by themselves about a server that is compared with an earlier state, but for `mariadb-check`; so what they wrote on the
sound server is compared with what they write on the damaged one, and their time is that of the second run alone.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pytest_envdr.verify.database import Options, compare, snapshot
from tests.verify.database_rig import PASSWORD, USER, Server, empty

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_envdr.verify.database import Manifest

RUNS = 3
TABLES = 10
WRITERS = 2
FEW = 10
"""In how many tenants a damage is looked for."""
PAGE = 16384
VICTIM = "tenant_0003"
OURS, PERCONA, CHECK, DUMP = "pytest-envdr", "pt-table-checksum", "mariadb-check", "mariadb-dump | sha256"
STATEMENTS = "--binlog-format=STATEMENT"
"""What pt-table-checksum insists on, and as RDS's master user may not set by itself."""
LOGIN = (f"--user={USER}", f"--password={PASSWORD}", "--port=3306")
ROWS = (
    "SELECT seq, CONCAT('name ', seq), IF(seq % 3, NULL, REPEAT('ü', seq)), NULL, seq * 1.25,"
    " '2024-01-01 09:00:00' + INTERVAL seq HOUR FROM seq_1_to_20"
)

Tool: TypeAlias = "Callable[[Server], str]"
"""Looks at a server; says the same for the same content, and starts with PROBLEM where it sees one itself."""
PROBLEM = "problem:"


def run(say: Callable[..., None], *, tenants: int) -> None:
    """Measure on a sound server; then damage small ones and see who notices."""
    memory = Path("/dev/shm")  # noqa: S108 (so that the tools are compared, not the disk)
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > tenants * 2**21
    with tempfile.TemporaryDirectory(dir=memory if roomy else None) as directory:
        measure(say, Path(directory), tenants)
        damage(Path(directory), min(tenants, FEW))


def measure(say: Callable[..., None], directory: Path, tenants: int) -> None:
    """Seconds of a full pass of each tool, every time on a server that was just started."""
    server, manifest = made(directory / "many", tenants)
    try:
        for name, tool in tools(manifest).items():
            seconds = []
            for _ in range(RUNS):
                server.stop()
                server.start(STATEMENTS)
                began = time.monotonic()
                tool(server)
                seconds.append(time.monotonic() - began)
            say(f"{tenants} tenants, cold server: {name}", *seconds)
    finally:
        server.stop()


def damage(directory: Path, tenants: int) -> None:
    """A table of who noticed what."""
    template, manifest = made(directory / "few", tenants)
    template.stop()
    every = tools(manifest)
    sys.stdout.write(f"\n{'damage, noticed by':<46}{''.join(f'{name:>24}' for name in every)}\n")
    sound = look(template, directory, every, (), None)
    for name, alarm in sound.items():
        if alarm.startswith(PROBLEM):
            sys.stdout.write(f"false alarm of {name}: {alarm}\n")
    for what, (statements, spoil) in DAMAGES.items():
        said = look(template, directory, every, statements, spoil)
        marks = "".join(f"{'yes' if said[name] != sound[name] else '-':>24}" for name in every)
        sys.stdout.write(f"{what:<46}{marks}\n")
        sys.stdout.flush()


def look(
    template: Server,
    directory: Path,
    every: dict[str, Tool],
    statements: tuple[str, ...],
    spoil: Callable[[Path], None] | None,
) -> dict[str, str]:
    """What each tool says of a damaged copy, cold for each."""
    said = {}
    for name, tool in every.items():
        server = template.clone(directory / "copy", address="127.240.0.41")
        if spoil:
            spoil(server.mariadb.data)
        server.start(STATEMENTS)
        try:
            server.run(*statements, database=VICTIM)
            server.stop()
            server.start(STATEMENTS)
            said[name] = tool(server)
        finally:
            server.stop()
    return said


def made(directory: Path, tenants: int) -> tuple[Server, Manifest]:
    """A started server with so many tenants, and what it holds."""
    server = empty(directory, address="127.240.0.40")
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda first: fill(server, range(first, tenants, WRITERS)), range(WRITERS)))
    server.run("CREATE USER app@'%' IDENTIFIED BY 'x'", "GRANT SELECT, INSERT ON *.* TO app@'%'")
    server.stop()
    server.start(STATEMENTS)
    return server, snapshot(server.connect, options=Options(check=False, accounts=True))


def fill(server: Server, numbers: range) -> None:
    """Ten tables of twenty rows each, with a secondary index; a trigger, a view, a routine."""
    with server.connect() as connection, connection.cursor() as cursor:
        for number in numbers:
            cursor.execute(f"CREATE DATABASE tenant_{number:04} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
            cursor.execute(f"USE tenant_{number:04}")
            for table in range(TABLES):
                cursor.execute(
                    f"CREATE TABLE table_{table} (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,"
                    " name VARCHAR(100) NOT NULL, note TEXT NULL, remark TEXT NULL, amount DECIMAL(12, 2) NOT NULL,"
                    " created_at DATETIME(6) NOT NULL, KEY by_name (name))"
                )
                cursor.execute(f"INSERT INTO table_{table} {ROWS}")
            cursor.execute("CREATE VIEW names AS SELECT id, name FROM table_0")
            cursor.execute("CREATE FUNCTION twice(x INT) RETURNS INT DETERMINISTIC RETURN x * 2")
            cursor.execute("CREATE TRIGGER trimmed BEFORE INSERT ON table_1 FOR EACH ROW SET NEW.name = TRIM(NEW.name)")


def tools(manifest: Manifest) -> dict[str, Tool]:
    """Ours, and the peers that are installed."""
    found: dict[str, Tool] = {OURS: lambda server: ours(server, manifest), CHECK: check, DUMP: dump}
    if shutil.which(PERCONA):
        found[PERCONA] = percona
    else:
        sys.stdout.write(f"{PERCONA} is not installed, and left out. To go on: apt-get install percona-toolkit\n")
    return found


def ours(server: Server, manifest: Manifest) -> str:
    """Against the manifest, accounts too."""
    differences = [str(one) for one in compare(manifest, server.connect, options=Options(accounts=True))]
    return f"{PROBLEM} {' '.join(differences)}" if differences else ""


def check(server: Server) -> str:
    """Every table of every database."""
    command = ["mariadb-check", "--no-defaults", *LOGIN, f"--host={server.mariadb.address}", "--all-databases"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    wrong = [line for line in answer.stdout.splitlines() if not line.endswith("OK")]
    return f"{PROBLEM} {wrong} {answer.returncode}" if wrong or answer.returncode else ""


def dump(server: Server) -> str:
    """One digest of a dump of everything but the system's."""
    options = ["--single-transaction", "--routines", "--triggers", "--events", "--skip-dump-date", "--hex-blob"]
    command = ["mariadb-dump", "--no-defaults", *LOGIN, f"--host={server.mariadb.address}", *options]
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW DATABASES LIKE 'tenant%'")
        names = [row[0] for row in cursor.fetchall()]
    digest = hashlib.sha256()
    with subprocess.Popen(
        [*command, "--databases", *names], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as program:
        for piece in iter(lambda: program.stdout.read(1 << 20) if program.stdout else b"", b""):
            # The host's name is in a comment, and the server's address is another on the sound one.
            digest.update(b"\n".join(line for line in piece.split(b"\n") if not line.startswith(b"-- Host")))
    return f"{PROBLEM} {program.returncode}" if program.returncode else digest.hexdigest()


def percona(server: Server) -> str:
    """Its own table of checksums, as it is on the server afterwards."""
    command = [
        *(
            PERCONA,
            f"h={server.mariadb.address},P=3306,u={USER},p={PASSWORD}",
            "--recursion-method=none",
            "--databases-regex=^tenant_",
        ),
        *(
            "--no-check-binlog-format",
            "--no-check-replication-filters",
            "--no-check-slave-tables",
            "--no-version-check",
        ),
    ]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT db, tbl, chunk, this_crc, this_cnt FROM percona.checksums ORDER BY db, tbl, chunk")
        rows = cursor.fetchall()
    if not rows:
        raise RuntimeError(f"{PERCONA} did not work: {answer.stdout}{answer.stderr}")
    return repr(rows)


def spoiled(page: int) -> Callable[[Path], None]:
    """Overwrites the middle of a page: 1 is the allocation bitmap, 3 the rows, 4 the secondary index."""

    def spoil(data: Path) -> None:
        with (data / VICTIM / "table_2.ibd").open("r+b") as file:
            file.seek(page * PAGE + 400)
            file.write(b"\xde\xad\xbe\xef" * 50)

    return spoil


def truncated(data: Path) -> None:
    with (data / VICTIM / "table_2.ibd").open("r+b") as file:
        file.truncate(2 * PAGE)


def removed(data: Path) -> None:
    (data / VICTIM / "table_2.ibd").unlink()


def nothing(_: Path) -> None: ...


DAMAGES: dict[str, tuple[tuple[str, ...], Callable[[Path], None]]] = {
    "a value changed in a row": (("UPDATE table_2 SET amount = 0 WHERE id = 7",), nothing),
    "the same change in two rows": (("UPDATE table_2 SET name = REPLACE(name, 'n', 'N') WHERE id IN (4, 5)",), nothing),
    "all rows five years later": (("UPDATE table_2 SET created_at = created_at + INTERVAL 5 YEAR",), nothing),
    "a value moved between columns with NULL": (
        ("UPDATE table_2 SET remark = note, note = NULL WHERE id = 3",),
        nothing,
    ),
    "a row missing": (("DELETE FROM table_2 WHERE id = 9",), nothing),
    "a row replaced": (
        ("UPDATE table_2 SET id = 19000 WHERE id = 9", "ALTER TABLE table_2 AUTO_INCREMENT = 21"),
        nothing,
    ),
    "a table emptied": (("DELETE FROM table_2",), nothing),
    "a table missing": (("DROP TABLE table_2",), nothing),
    "a tenant missing": ((f"DROP DATABASE {VICTIM}",), nothing),
    "an index dropped": (("DROP INDEX by_name ON table_2",), nothing),
    "a trigger lost": (("DROP TRIGGER trimmed",), nothing),
    "a routine lost": (("DROP FUNCTION twice",), nothing),
    "a view lost": (("DROP VIEW names",), nothing),
    "a grant lost": (("REVOKE INSERT ON *.* FROM app@'%'",), nothing),
    "a page of rows corrupt": ((), spoiled(3)),
    "a page of a secondary index corrupt": ((), spoiled(4)),
    "a file truncated": ((), truncated),
    "a file removed": ((), removed),
    "the allocation bitmap corrupt": ((), spoiled(1)),
}
