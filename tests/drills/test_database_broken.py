"""Each way in which a restored database may be wrong turns its own finding red, and no other.

One copy is restored, held, broken in one way after the other, and mended.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import dumps
from pytest_envdr.aws import rds
from pytest_envdr.timeline import Mark
from tests.drills import restored

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_envdr.exercise import Exercise
    from tests.drills.restored import Rehearsal

SOURCE = "manual"


@pytest.fixture(scope="module")
def begun(battered_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercise]:
    """A run on the sandbox."""
    with restored.exercising(battered_stack, tmp_path_factory.mktemp("broken")) as begun:
        yield begun


@pytest.fixture(scope="module")
def rehearsal(begun: Exercise) -> Iterator[Rehearsal]:
    """A restored copy that answers, and is held."""
    with restored.rehearsing(begun, source=SOURCE) as rehearsal:
        yield rehearsal


@dataclass(frozen=True)
class Break:
    """A way to break a copy: what breaks it, what mends it, which finding must name it, and words of that."""

    name: str
    breaking: str
    mending: str
    finding: str
    says: str


BREAKS = [
    Break(
        "a row is another",
        "UPDATE tenant_acme.customers SET credit = credit + 1 WHERE id = 7",
        "UPDATE tenant_acme.customers SET credit = credit - 1 WHERE id = 7",
        "database.content",
        "Table tenant_acme.customers: row id=7 has changed in credit.",
    ),
    Break(
        "the same edit in two rows",
        "UPDATE tenant_acme.customers SET credit = credit + 1 WHERE id IN (7, 8)",
        "UPDATE tenant_acme.customers SET credit = credit - 1 WHERE id IN (7, 8)",
        "database.content",
        "2 changed-row",
    ),
    Break(
        "a procedure is gone",
        "DROP PROCEDURE tenant_acme.refresh_daily_totals",
        "",
        "database.content",
        "refresh_daily_totals",
    ),
    Break(
        "an account more",
        "CREATE USER intruder@'%' IDENTIFIED BY 'x'",
        "DROP USER intruder@'%'",
        "database.content",
        "intruder@%",
    ),
    Break(
        "a table is gone",
        "DROP TABLE central.notes",
        "",
        "database.content",
        "Table central.notes is missing.",
    ),
    Break(
        "a tenant's database is gone",
        "DROP DATABASE tenant_globex",
        "",
        "database.tenant-missing",
        "database tenant_globex did not come back",
    ),
    Break(
        "a database more",
        "CREATE DATABASE `tenant_O'Brien-封筒`",
        "DROP DATABASE `tenant_O'Brien-封筒`",
        "database.tenant-extra",
        "database tenant_O'Brien-封筒 came back and belongs to nobody",
    ),
    Break(
        "a heartbeat is missing",
        "DELETE FROM central.dr_heartbeat WHERE sequence = (SELECT MAX(sequence) - 1 FROM central.dr_heartbeat)",
        "",
        "database.heartbeat-gap",
        "1 heartbeats are missing that are older than the newest",
    ),
]


@contextmanager
def broken(rehearsal: Rehearsal, case: Break, directory: Path) -> Iterator[None]:
    """The copy, broken; mended by the case's own statement, else by a dump of the database."""
    kept = None
    if not case.mending:
        database = (
            case.breaking.partition("tenant_")[2].partition(".")[0].split()[0] if "tenant_" in case.breaking else ""
        )
        name = f"tenant_{database}" if database else "central"
        kept = dumps.dump(rehearsal.server, name, directory / "kept.sql")
    rehearsal.on_copy(case.breaking)
    try:
        yield
    finally:
        if kept is not None:
            dumps.load(rehearsal.server, kept, kept.database)
        else:
            rehearsal.on_copy(case.mending)


def test_a_copy_that_is_well(rehearsal: Rehearsal) -> None:
    """Nothing is found in a copy that nobody broke: what the tests below see is what they did."""
    assert rehearsal.validated() == {}


@pytest.mark.parametrize("case", BREAKS, ids=lambda case: case.name)
def test_its_own_finding_and_no_other(case: Break, rehearsal: Rehearsal, tmp_path: Path) -> None:
    """Broken in one way, it is found under one id, and named; mended, nothing is found."""
    with broken(rehearsal, case, tmp_path):
        found = rehearsal.validated()
    assert list(found) == [case.finding]
    assert case.says in found[case.finding]


def test_a_stale_backup(rehearsal: Rehearsal) -> None:
    """More is lost than is promised for a restore from this source: central and tenants, and nothing else."""
    drill = rehearsal.drill
    before = drill.objective
    assert before is not None
    drill.objective = before.model_copy(update={"rpo_seconds_from": {SOURCE: 0.001}})
    try:
        found = rehearsal.validated()
        assert drill.rpa_seconds is not None
        assert drill.rpa_seconds > drill.rpo_of(SOURCE)
    finally:
        drill.objective = before
    assert list(found) == ["database.recovery-point"]


@contextmanager
def modified(rehearsal: Rehearsal, **arguments: Any) -> Iterator[None]:
    """The copy with other settings; those of before come back."""
    client, name = rehearsal.stranger.client("rds"), rehearsal.copy.identifier
    before = rds.instance(rehearsal.aws, name)
    client.modify_db_instance(DBInstanceIdentifier=name, ApplyImmediately=True, **arguments)
    _settled(rehearsal)
    try:
        yield
    finally:
        client.modify_db_instance(
            DBInstanceIdentifier=name,
            ApplyImmediately=True,
            VpcSecurityGroupIds=list(before.security_groups),
            DBParameterGroupName=before.parameter_group,
            DeletionProtection=False,
            CopyTagsToSnapshot=before.copies_tags,
        )
        _settled(rehearsal)


def _settled(rehearsal: Rehearsal) -> None:
    client = rehearsal.stranger.client("rds")
    client.get_waiter("db_instance_available").wait(
        DBInstanceIdentifier=rehearsal.copy.identifier, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )


def test_another_security_group(rehearsal: Rehearsal) -> None:
    """The source's own group on the copy: the application could reach it. Found, by name."""
    groups = rehearsal.database.held.instance.security_groups
    with modified(rehearsal, VpcSecurityGroupIds=list(groups)):
        found = rehearsal.validated()
    assert list(found) == ["database.configuration"]
    assert "security groups" in found["database.configuration"]


def test_another_setting(rehearsal: Rehearsal) -> None:
    """What AWS chose by itself because it was not told is found."""
    with modified(rehearsal, DeletionProtection=True):
        found = rehearsal.validated()
    assert list(found) == ["database.configuration"]
    assert "deletion protection" in found["database.configuration"]


def test_another_parameter(rehearsal: Rehearsal) -> None:
    """A group of the right name with another value in it is found: the parameters are compared, not the name."""
    client, name = rehearsal.stranger.client("rds"), rehearsal.copy.identifier
    parameter = {"ParameterName": "max_connections", "ParameterValue": "150", "ApplyMethod": "pending-reboot"}
    client.modify_db_parameter_group(DBParameterGroupName=name, Parameters=[parameter])
    try:
        found = rehearsal.validated()
    finally:
        client.reset_db_parameter_group(DBParameterGroupName=name, Parameters=[parameter])
    assert list(found) == ["database.configuration"]
    assert "max_connections" in found["database.configuration"]


def test_verified_only_when_nothing_failed(rehearsal: Rehearsal, tmp_path: Path) -> None:
    """A drill that found something has no RTA; one that found nothing has, and tells its parts."""
    with broken(rehearsal, BREAKS[0], tmp_path):
        rehearsal.validated()
        rehearsal.database.conclude()
    assert rehearsal.drill.marked(Mark.VERIFIED) is None
    assert rehearsal.validated() == {}
    seconds = rehearsal.database.conclude()
    assert rehearsal.drill.actuals.rta_seconds == pytest.approx(seconds)
    (parts,) = [
        entry.data["rows"]
        for entry in rehearsal.drill.entries
        if entry.kind == "table" and entry.data["title"] == "Recovery time by part"
    ][-1:]
    assert [row[0] for row in parts] == [
        "request sent",
        "available",
        "logged in",
        "first answer that proves it",
        "storage",
    ]
