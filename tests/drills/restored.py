"""A database restored aside and held for tests to break: the drill as a library, without pytest's fixtures."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_envdr import mariadb
from pytest_envdr.aws import rds
from pytest_envdr.drills import databases, heartbeats, restores
from pytest_envdr.exercise import Charge, Exercise
from pytest_envdr.settings import Settings
from pytest_envdr.waiting import wait_until
from tests import account
from tests.drills.stranger import CLUSTER, Stranger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_envdr.aws import Aws
    from pytest_envdr.drills import Drill
    from pytest_envdr.drills.databases import RestoredDatabase
    from pytest_envdr.drills.restores import Aside
    from pytest_envdr.drills.smoke import Answer
    from pytest_envdr.journal import Journal
    from pytest_envdr.mariadb import Server

HEARTBEATS = 5
"""How many a snapshot holds at least, so that one can be taken out of their midst."""


@dataclass
class Rehearsal:
    """A drill that has come as far as a copy which answers.

    Attributes:
        exercise: the run.
        drill: what it found; `found` empties it.
        database: its steps.
        answer: what the application answered.
        stranger: who else works on the stack.
    """

    exercise: Exercise
    drill: Drill
    database: RestoredDatabase
    answer: Answer
    stranger: Stranger

    @property
    def aws(self) -> Aws:
        return self.exercise.aws

    @property
    def journal(self) -> Journal:
        return self.exercise.journal

    @property
    def copy(self) -> Aside:
        return self.database.held.copy

    @property
    def source(self) -> Server:
        """How to log in to the source."""
        return self.database.held.server

    @property
    def server(self) -> Server:
        """How to log in to the copy."""
        assert self.copy.server is not None
        return self.copy.server

    def on_copy(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements on the copy; the rows of the last."""
        with mariadb.session(self.server) as cursor:
            for statement in statements:
                cursor.execute(statement)
            return [tuple(row) for row in cursor.fetchall()]

    def validated(self) -> dict[str, str]:
        """All that validating finds now: id -> title and detail, which the next time begins empty."""
        self.drill.findings.clear()
        self.drill.recovery_points.clear()
        self.database.check_configuration()
        self.database.check_integrity()
        self.database.check_losses()
        return self.found()

    def found(self) -> dict[str, str]:
        """What was found since, by its id."""
        found: dict[str, str] = {}
        for finding in self.drill.failures:
            text = f"{finding.title} ({finding.detail})"
            found[finding.id] = f"{found[finding.id]}; {text}" if finding.id in found else text
        return found


@contextmanager
def exercising(stack_file: Path, directory: Path) -> Iterator[Exercise]:
    """An exercise on a running stack, with evidence and state of its own."""
    chosen = Settings(stack=stack_file, evidence=directory / "evidence", state_directory=directory / "state")
    begun = Exercise.begin(chosen, root=directory)
    try:
        yield begun
    finally:
        begun.release()
        begun.finish(0)


@contextmanager
def rehearsing(exercise: Exercise, *, source: str) -> Iterator[Rehearsal]:
    """Restore from a source, as far as the copy answers; all of it goes again."""
    if source == "manual":
        _snapshot(exercise)
    drill = exercise.drill(Charge(f"rehearsal of {source}", "database_restore"))
    with databases.restored(exercise.aws, exercise.journal, drill, source=source) as database:
        database.restore()
        database.wait_until_available()
        answer = database.wait_until_answers()
        yield Rehearsal(exercise, drill, database, answer, Stranger(exercise.stack.path))


def _snapshot(exercise: Exercise) -> None:
    """A manual snapshot with some heartbeats in it: the stack's own was taken as soon as it stood."""
    client = Stranger(exercise.stack.path).client("rds")
    row = exercise.stack.database
    assert row is not None
    instance = rds.instance(exercise.aws, row.instance)
    server = restores.source_server(exercise.aws, instance)
    wait_until(
        lambda: len(heartbeats.read(server, [row.central], row.heartbeat)[row.central].rows),
        lambda count: count > HEARTBEATS,
        what=f"{HEARTBEATS} heartbeats",
        deadline=60,
    )
    wait_until(
        lambda: rds.instance(exercise.aws, row.instance).status,
        lambda status: status == "available",
        what=f"{row.instance} available",
        deadline=60,
    )
    name = account.unique("rehearsal")
    client.create_db_snapshot(DBInstanceIdentifier=row.instance, DBSnapshotIdentifier=name)
    client.get_waiter("db_snapshot_available").wait(
        DBSnapshotIdentifier=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )


def standing(stranger: Stranger) -> dict[str, Any]:
    """All that a restore may leave behind, and what a cutover changes."""
    rds, ec2, ecs = stranger.client("rds"), stranger.client("ec2"), stranger.client("ecs")
    words = ("api", "worker", "scheduler", "reverb", "tenant", "hq")
    return {
        "instances": [one["DBInstanceIdentifier"] for one in rds.describe_db_instances()["DBInstances"]],
        "groups": sorted(one["GroupName"] for one in ec2.describe_security_groups()["SecurityGroups"]),
        "parameters": sorted(
            one["DBParameterGroupName"] for one in rds.describe_db_parameter_groups()["DBParameterGroups"]
        ),
        "backups": len(rds.describe_db_instance_automated_backups()["DBInstanceAutomatedBackups"]),
        "definitions": sorted(ecs.list_task_definitions(status="ACTIVE")["taskDefinitionArns"]),
        "deployed": {word: stranger.service(word)["taskDefinition"] for word in words},
        "alone": [arn for arn in ecs.list_tasks(cluster=CLUSTER)["taskArns"] if not _of_a_service(ecs, arn)],
    }


def _of_a_service(ecs: Any, arn: str) -> bool:
    (task,) = ecs.describe_tasks(cluster=CLUSTER, tasks=[arn])["tasks"]
    return str(task["group"]).startswith("service:")
