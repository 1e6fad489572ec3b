"""A tenant that is recovered step by step and held for tests to break, and one whose name is as odd as names may be."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pymysql

from pytest_envdr import dumps, mariadb, stack, swaps
from pytest_envdr.aws import Aws
from pytest_envdr.drills import tenants
from pytest_envdr.drills.tenancy import tenancy
from pytest_envdr.exercise import Charge
from pytest_envdr.mariadb import quoted
from pytest_envdr.verify import database as verify
from pytest_envdr.waiting import wait_until
from tests.drills import restored
from tests.drills.stranger import Stranger, copied

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.damages import Damage
    from pytest_envdr.drills.tenant_checks import Recovery
    from pytest_envdr.drills.tenants import RecoveredTenant
    from pytest_envdr.exercise import Exercise
    from pytest_envdr.mariadb import Server
    from pytest_envdr.stack import Stack

SCENARIO = "single_tenant_recovery"
SYSTEM = ("information_schema", "innodb", "mysql", "performance_schema", "sys")
SLUG = "o'brien-büro"
DATABASE = f"tenant_{SLUG}_封筒_".ljust(64, "x")
"""As long as MariaDB takes them, with a quote, a dash and Unicode."""
BUCKET = "envelope-prod-tenant-obrien"
LATE = "INSERT INTO settings (name, value) VALUES ('late', '{}')"


@dataclass
class Rehearsal:
    """A recovery as far as the tenant is extracted from the instance restored aside.

    Attributes:
        exercise: the run.
        drill: what it found.
        tenant: its steps.
        stranger: who else works on the stack.
    """

    exercise: Exercise
    drill: Drill
    tenant: RecoveredTenant
    stranger: Stranger

    @property
    def server(self) -> Server:
        """The stack's own."""
        return self.tenant.case.before.server

    @property
    def aside(self) -> Server:
        """That of the instance restored aside."""
        return self.tenant.case.restored

    def checked(self) -> dict[str, str]:
        """What looking at the copy finds now: id -> title and detail."""
        self.drill.findings.clear()
        self.tenant.check_copy()
        return self.found()

    def recovered(self) -> tuple[Recovery, dict[str, str]]:
        """What the last step gives and finds now."""
        self.drill.findings.clear()
        self.drill.recovery_points.clear()
        recovery = self.tenant.wait_until_recovered()
        return recovery, self.found()

    def found(self) -> dict[str, str]:
        """The findings that fail the drill."""
        return {finding.id: f"{finding.title} ({finding.detail})" for finding in self.drill.failures}


def on(server: Server, database: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements; the rows of the last."""
    with mariadb.session(server, database=database) as cursor:
        for statement in statements:
            cursor.execute(statement)
        return [tuple(row) for row in cursor.fetchall()]


def hands(stack_file: Path) -> Aws:
    """A stack to look at, and to touch nothing."""
    return Aws(stack.read(stack_file))


def held(aws: Aws, *, only: str = "") -> dict[str, Any]:
    """All databases whose names begin so with their digests, and which tenants are in service."""
    server, row = swaps.server(aws), aws.stack.database
    assert row is not None

    def digests() -> dict[str, str]:
        names = [name for (name,) in on(server, row.central, "SHOW DATABASES") if name not in SYSTEM]
        own = [name for name in names if name.startswith(only)]
        return verify.digests(partial(mariadb.connect, server), own, declared=row.declared_writes)

    # What a drill that was killed had begun may still come and go.
    found = wait_until(digests, lambda _: True, what="all databases read", deadline=30, tolerated=(pymysql.MySQLError,))
    return {"databases": found, "status": on(server, row.central, "SELECT slug, status FROM tenants ORDER BY id")}


def files(state: Path) -> list[str]:
    """What is in a state directory but for journals: dumps that nobody took away."""
    return sorted(path.name for path in state.rglob("*") if path.is_file() and path.suffix != ".jsonl")


@contextmanager
def odd_tenant(stack_file: Path, directory: Path) -> Iterator[Path]:
    """A tenant called SLUG in DATABASE, with documents in BUCKET; gives a stack file whose drills are about it."""
    aws, s3 = hands(stack_file), Stranger(stack_file).client("s3")
    server = swaps.server(aws)
    model = tenancy(aws, server).subject
    dumps.load(server, dumps.dump(server, model.database, directory / "model.sql"), DATABASE)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": aws.stack.region})
    for (key,) in on(server, DATABASE, "SELECT object_key FROM documents"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"of theirs")
    with mariadb.session(server, database=DATABASE) as cursor:
        cursor.execute("UPDATE settings SET value = JSON_SET(value, '$.slug', %s) WHERE name = 'company'", (SLUG,))
        row = (SLUG, SLUG, DATABASE, BUCKET)
        cursor.execute("INSERT INTO central.tenants (slug, name, database_name, bucket) VALUES (%s, %s, %s, %s)", row)
    try:
        yield copied(stack_file, directory / "stack.toml", drill_tenant={"slug": SLUG})
    finally:
        with mariadb.session(server, database="central") as cursor:
            cursor.execute("DELETE FROM tenants WHERE slug = %s", (SLUG,))
            cursor.execute("ALTER TABLE tenants AUTO_INCREMENT = 1")
            cursor.execute(f"DROP DATABASE {quoted(DATABASE)}")
        for one in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            s3.delete_object(Bucket=BUCKET, Key=one["Key"])
        s3.delete_bucket(Bucket=BUCKET)


@contextmanager
def rehearsing(exercise: Exercise, *, damage: Damage = "rows deleted") -> Iterator[Rehearsal]:
    """Damage the stack's drill tenant, and recover it as far as it is extracted. It is restored to an instant that is
    older than its newest row, LATE, which is therefore lost."""
    drill, aws = exercise.drill(Charge("rehearsal", SCENARIO)), exercise.aws
    server = swaps.server(aws)
    database = tenancy(aws, server).subject.database
    instant = (datetime.now(UTC) + timedelta(seconds=1)).replace(microsecond=0)
    wait_until(lambda: datetime.now(UTC) > instant + timedelta(milliseconds=50), what="that instant", deadline=5)
    on(server, database, LATE)
    with tenants.recovered(aws, exercise.journal, drill, damage) as tenant:
        tenant.wait_until_seen()
        tenant.case.fault = instant
        tenant.restore()
        tenant.extract()
        yield Rehearsal(exercise, drill, tenant, Stranger(exercise.stack.path))


@contextmanager
def rehearsed(stack_file: Path, directory: Path) -> Iterator[Rehearsal]:
    """A rehearsal with an exercise of its own."""
    with restored.exercising(stack_file, directory) as exercise, rehearsing(exercise) as rehearsal:
        yield rehearsal


def otherwise(read: Stack, table: str, **changes: Any) -> Stack:
    """A stack with keys of one of its tables changed."""
    row = getattr(read, table)
    assert row is not None
    return read.model_copy(update={table: row.model_copy(update=changes)})
