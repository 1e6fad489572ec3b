"""Bad days of a restore: each ends in a clear verdict or refusal, and nothing of it is left."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import laravel, mariadb, undo
from pytest_envdr.aws import Aws, rds
from pytest_envdr.drills import restores, smoke
from pytest_envdr.errors import Refused, WaitFailed, WaitTimedOut
from tests.drills import restored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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


def test_the_application_answers_from_the_copy(rehearsal: Rehearsal) -> None:
    """It read what only the copy holds, and named the copy, which is another server than the source."""
    answer = rehearsal.answer
    assert answer.wrong == ""
    assert (answer.server, answer.value) == (answer.restored, answer.expected)
    assert answer.server != answer.source
    with mariadb.session(rehearsal.source, database="central") as cursor:
        cursor.execute("SELECT COUNT(*) FROM dr_probe WHERE value = %s", (answer.value,))
        assert cursor.fetchone() == (0,)


def test_an_application_that_answers_from_the_source(rehearsal: Rehearsal) -> None:
    """A container that is told nothing of the copy works, on the source: found, and said."""
    row = rehearsal.aws.stack.database
    assert row is not None
    stack = rehearsal.aws.stack.model_copy(
        update={"database": row.model_copy(update={"host_variable": "NOBODY_READS"})}
    )
    drill = rehearsal.drill
    drill.findings.clear()
    with pytest.raises(WaitFailed, match="it asked the source"):
        smoke.check_application(
            Aws(stack, rehearsal.journal), rehearsal.journal, drill, rehearsal.copy, rehearsal.source
        )
    assert list(rehearsal.found()) == ["database.application"]


def test_a_password_that_no_longer_works(rehearsal: Rehearsal) -> None:
    """The secret was rotated since the backup: the copy is given the secret's password, which is told as a deviation,
    and written nowhere."""
    secrets, row = rehearsal.stranger.client("secretsmanager"), rehearsal.aws.stack.database
    assert row is not None
    before = secrets.get_secret_value(SecretId=row.secret)["SecretString"]
    secrets.put_secret_value(
        SecretId=row.secret, SecretString=json.dumps(json.loads(before) | {"password": "rotated-1"})
    )
    try:
        server = restores.log_in(rehearsal.aws, rehearsal.journal, rehearsal.drill, rehearsal.copy)
        assert server.password == "rotated-1"  # noqa: S105 (of this test's copy)
        assert rehearsal.copy.reset
        assert rehearsal.validated() == {}
    finally:
        secrets.put_secret_value(SecretId=row.secret, SecretString=before)
        restores.log_in(rehearsal.aws, rehearsal.journal, rehearsal.drill, rehearsal.copy)
    assert "rotated-1" not in rehearsal.journal.path.read_text()
    told = [entry.data["text"] for entry in rehearsal.drill.entries if entry.kind == "deviation"]
    assert any("was given it" in text for text in told)


def test_a_network_that_does_not_reach_it(rehearsal: Rehearsal) -> None:
    """Available to the API, and no connection: the network's fault, not the restore's."""
    assert rehearsal.copy.instance is not None
    nowhere = replace(rehearsal.copy, instance=replace(rehearsal.copy.instance, host="127.250.250.250"))
    rehearsal.drill.findings.clear()
    with pytest.raises(WaitFailed, match="cannot be reached"):
        restores.log_in(rehearsal.aws, rehearsal.journal, rehearsal.drill, nowhere, reach_seconds=1.0)
    assert list(rehearsal.found()) == ["database.unreachable"]
    assert "is available to the API, and takes no connection" in rehearsal.found()["database.unreachable"]


@contextmanager
def requested(rehearsal: Rehearsal) -> Iterator[restores.Aside]:
    """Another copy, asked for; all of it goes again."""
    held, drill, journal = rehearsal.database.held, rehearsal.drill, rehearsal.journal
    entries = len(journal.entries)
    drill.findings.clear()
    aside = restores.prepare(rehearsal.aws, journal, drill, held.instance, held.origin, word="dbrestore", ports=())
    restores.request(rehearsal.aws, journal, drill, aside)
    try:
        yield aside
    finally:
        for entry in reversed([entry for entry in journal.entries[entries:] if entry.owed]):
            undo.reverse(rehearsal.aws, journal, entry)


def test_a_copy_that_goes_before_it_comes(rehearsal: Rehearsal) -> None:
    """Somebody deletes it while it is restored: that is told at once, and is no time-out."""
    with requested(rehearsal) as aside:
        rehearsal.stranger.client("rds").delete_db_instance(
            DBInstanceIdentifier=aside.identifier, SkipFinalSnapshot=True
        )
        with pytest.raises(WaitFailed, match="can no longer come true"):
            restores.wait_until_available(rehearsal.aws, rehearsal.journal, rehearsal.drill, aside)
    assert list(rehearsal.found()) == ["database.not-restored"]


def test_a_restore_that_does_not_end(rehearsal: Rehearsal) -> None:
    """Not within twice the RTO: a finding, and the copy goes all the same, though it is still being made."""
    drill = rehearsal.drill
    before = drill.objective
    assert before is not None
    with requested(rehearsal) as aside:
        drill.objective = before.model_copy(update={"rto_seconds": 0.1})
        try:
            with pytest.raises(WaitTimedOut, match=f"{aside.identifier} available: not within 0.2 s"):
                restores.wait_until_available(rehearsal.aws, rehearsal.journal, drill, aside)
        finally:
            drill.objective = before
    assert list(rehearsal.found()) == ["database.not-restored"]
    assert rds.existing(rehearsal.aws, aside.identifier) is None


REFUSALS: dict[str, tuple[str, Callable[[Rehearsal], Any]]] = {
    "no snapshot of this instance": (
        "has no manual snapshot of its own",
        lambda one: restores.newest(one.aws, replace(one.database.held.instance, resource_id="db-OTHER"), "manual"),
    ),
    "nothing is backed up": (
        "its BackupRetentionPeriod is 0",
        lambda one: restores.newest(one.aws, replace(one.database.held.instance, retention_days=0), "point-in-time"),
    ),
    "no automated backup yet": (
        "there is no automated backup yet",
        lambda one: restores.newest(
            one.aws, replace(one.database.held.instance, restorable_until=None), "point-in-time"
        ),
    ),
    "no recovery point": (
        "has no recovery point of",
        lambda one: restores.newest(one.aws, replace(one.database.held.instance, arn=one.copy.identifier), "backup"),
    ),
    "quota used up": (
        "the quota AllocatedStorage is 100000",
        lambda one: restores.check_possible(
            one.aws, replace(one.database.held.instance, allocated_gib=100_000), one.source
        ),
    ),
    "an instance that is not available": (
        "is storage-full, not available",
        lambda one: restores.check_possible(
            one.aws, replace(one.database.held.instance, status="storage-full"), one.source
        ),
    ),
    "in maintenance already": (
        "in maintenance mode already",
        lambda one: laravel.enter_maintenance(one.aws, one.journal),
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refused(name: str, rehearsal: Rehearsal) -> None:
    """What cannot go well is refused with its reason, and no call that changes AWS is made."""
    words, act = REFUSALS[name]
    before = len(rehearsal.journal.entries)
    with pytest.raises(Refused, match="Nothing was touched") as caught:
        act(rehearsal)
    assert words in str(caught.value)
    assert len(rehearsal.journal.entries) == before


def test_a_table_that_no_restore_brings_back(rehearsal: Rehearsal) -> None:
    """A table of Aria may end a restore in incompatible-restore: refused, and named."""
    rehearsal.on_copy("CREATE TABLE central.odd (id INT) ENGINE=Aria")
    try:
        with pytest.raises(Refused, match=r"central\.odd Aria"):
            restores.check_possible(rehearsal.aws, rehearsal.database.held.instance, rehearsal.server)
    finally:
        rehearsal.on_copy("DROP TABLE central.odd")


def test_a_copied_snapshot_is_not_the_newest(rehearsal: Rehearsal) -> None:
    """A copy of the snapshot was made later, and is not newer: the original is taken."""
    client, origin = rehearsal.stranger.client("rds"), rehearsal.database.held.origin
    copied = "copied-for-a-test"
    client.copy_db_snapshot(SourceDBSnapshotIdentifier=origin.name, TargetDBSnapshotIdentifier=copied)
    client.get_waiter("db_snapshot_available").wait(
        DBSnapshotIdentifier=copied, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    try:
        assert restores.newest(rehearsal.aws, rehearsal.database.held.instance, SOURCE).name == origin.name
    finally:
        client.delete_db_snapshot(DBSnapshotIdentifier=copied)
