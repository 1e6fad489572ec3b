"""Each way in which a tenant's recovery may go wrong turns its own finding red, and no other.

One tenant, whose name has a quote, a dash, Unicode and 64 characters, is damaged and recovered as far as each step, and
then broken in one way after the other, and mended.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import swaps
from pytest_envdr.drills import heartbeats, neighbours, tenant_steps
from pytest_envdr.errors import Refused
from tests.drills import restored
from tests.drills.stranger import Stranger
from tests.drills.tenant_rig import (
    BUCKET,
    DATABASE,
    SLUG,
    Rehearsal,
    files,
    hands,
    held,
    odd_tenant,
    on,
    rehearsing,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from pytest_envdr.drills.tenant_checks import Recovery

NEIGHBOUR = "tenant_acme"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For evidence and state."""
    return tmp_path_factory.mktemp("broken-tenant")


@pytest.fixture(scope="module")
def before(battered_stack: Path) -> dict[str, Any]:
    """What stood before, and every database's digest."""
    return held(hands(battered_stack)) | restored.standing(Stranger(battered_stack))


@pytest.fixture(scope="module")
def rehearsal(battered_stack: Path, before: dict[str, Any], directory: Path) -> Iterator[Rehearsal]:
    """The tenant, restored aside and extracted."""
    assert before
    with (
        odd_tenant(battered_stack, directory) as stack_file,
        restored.exercising(stack_file, directory) as exercise,
        rehearsing(exercise) as rehearsal,
    ):
        yield rehearsal


@pytest.fixture(scope="module")
def swapped(rehearsal: Rehearsal) -> Recovery:
    """The tenant, swapped in and back in service, as it is when nobody breaks anything."""
    assert rehearsal.checked() == {}
    rehearsal.tenant.swap()
    recovery, found = rehearsal.recovered()
    assert found == {}
    return recovery


def test_a_copy_that_is_well(rehearsal: Rehearsal) -> None:
    """Nothing is found in a copy that nobody broke, whatever the tenant is called."""
    assert len(DATABASE) == 64
    assert rehearsal.checked() == {}


@dataclass(frozen=True)
class Break:
    """Statements in a database, and those that mend it; words of the finding that must tell it."""

    name: str
    breaking: str
    mending: str
    says: str


@contextmanager
def broken(case: Break, *places: tuple[Any, str]) -> Iterator[None]:
    """Databases, given as server and name, broken; mended on leaving."""
    for server, database in places:
        on(server, database, case.breaking)
    try:
        yield
    finally:
        for server, database in places:
            on(server, database, case.mending)


ONE = "UPDATE customers SET credit = credit {} 1 WHERE id {}"
ROW = Break("a row is another", ONE.format("+", "= 7"), ONE.format("-", "= 7"), "row id=7 has changed in credit")
COPIES = [
    ROW,
    Break("the same edit in two rows", ONE.format("+", "IN (7, 8)"), ONE.format("-", "IN (7, 8)"), "row id=8"),
    Break("a table more", "CREATE TABLE stray (id INT PRIMARY KEY)", "DROP TABLE stray", "stray"),
    Break("a table is gone", "RENAME TABLE messages TO elsewhere", "RENAME TABLE elsewhere TO messages", "messages"),
    Break("a procedure more", "CREATE PROCEDURE q() SELECT 1", "DROP PROCEDURE q", "q"),
    Break("an event more", "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1", "DROP EVENT e", "e"),
]


@pytest.mark.parametrize("case", COPIES, ids=lambda case: case.name)
def test_a_copy_that_is_not_what_was_restored(case: Break, rehearsal: Rehearsal) -> None:
    """Before anything is swapped in, the copy is found to be wrong, and that alone; mended, nothing is found."""
    with broken(case, (rehearsal.server, rehearsal.tenant.case.copy)):
        found = rehearsal.checked()
    assert list(found) == ["tenant.copy"]
    assert case.says in found["tenant.copy"]
    assert rehearsal.checked() == {}


COMPANY = "UPDATE settings SET value = JSON_SET(value, '$.slug', '{}') WHERE name = 'company'"
READING = "SELECT name FROM tenant_acme.customers"
FOREIGN = [
    Break("another's rows", COMPANY.format("acme"), COMPANY.format(SLUG.replace("'", "''")), "that it is acme's"),
    Break("a view of another's", f"CREATE VIEW v AS {READING}", "DROP VIEW v", f"view v names {NEIGHBOUR}"),
    Break("a routine of another's", f"CREATE PROCEDURE q() {READING}", "DROP PROCEDURE q", f"q names {NEIGHBOUR}"),
    Break(
        "a foreign key into another's",
        "CREATE TABLE stray (id INT UNSIGNED PRIMARY KEY, CONSTRAINT k FOREIGN KEY (id)"
        " REFERENCES tenant_acme.customers (id))",
        "DROP TABLE stray",
        f"foreign key k names {NEIGHBOUR}",
    ),
    Break(
        "nothing that says whose it is",
        "RENAME TABLE settings TO elsewhere",
        "RENAME TABLE elsewhere TO settings",
        "does not say whose it is",
    ),
]


@pytest.mark.parametrize("case", FOREIGN, ids=lambda case: case.name)
def test_what_is_anothers_in_the_copy(case: Break, rehearsal: Rehearsal) -> None:
    """Data or objects of another tenant, which the restored instance has too, are found, and that alone."""
    places = ((rehearsal.aside, DATABASE), (rehearsal.server, rehearsal.tenant.case.copy))
    with broken(case, *places):
        found = rehearsal.checked()
    assert list(found) == ["tenant.foreign"]
    assert case.says in found["tenant.foreign"]
    assert rehearsal.checked() == {}


def test_a_copy_found_wanting_is_not_swapped_in(rehearsal: Rehearsal) -> None:
    """After a finding nothing is changed any more."""
    with broken(ROW, (rehearsal.server, rehearsal.tenant.case.copy)):
        rehearsal.checked()
    check_refused(rehearsal, "is not swapped in")


def test_another_server_than_before(rehearsal: Rehearsal) -> None:
    """Names and passwords are the same on both: where another server answers, nothing is swapped in."""
    case = rehearsal.tenant.case
    rehearsal.drill.findings.clear()
    before, case.before = case.before, replace(case.before, identity="4711@elsewhere:3306")
    try:
        check_refused(rehearsal, "in the place of 4711@elsewhere:3306")
    finally:
        case.before = before


def check_refused(rehearsal: Rehearsal, words: str) -> None:
    """Swapping is refused, and the journal knows of no further act."""
    entries = len(rehearsal.exercise.journal.entries)
    with pytest.raises(Refused, match=words):
        rehearsal.tenant.swap()
    assert len(rehearsal.exercise.journal.entries) == entries


def test_a_recovery_that_nobody_disturbs(rehearsal: Rehearsal, swapped: Recovery) -> None:
    """Swapped in, it is green; the row that is younger than the instant is listed as lost, and nothing else."""
    assert (swapped.differences, swapped.disturbed, swapped.orphans) == ([], [], [])
    counted, missing = (str(one) for one in swapped.lost)
    assert counted.endswith("settings has 5 rows, expected 6.")
    assert missing.endswith("settings: row name=late is missing.")
    damaged = on(rehearsal.server, rehearsal.tenant.case.damaged, "SELECT COUNT(*) FROM settings")
    assert damaged != [(0,)], "kept until sign-off"
    assert swaps.in_service(rehearsal.exercise.aws, SLUG)


def documents(rehearsal: Rehearsal) -> list[str]:
    """The keys that rows name."""
    return [key for (key,) in on(rehearsal.server, DATABASE, "SELECT object_key FROM documents ORDER BY id")]


@contextmanager
def without_object(rehearsal: Rehearsal) -> Iterator[None]:
    """An object less in the tenant's bucket."""
    s3, key = rehearsal.stranger.client("s3"), documents(rehearsal)[0]
    s3.delete_object(Bucket=BUCKET, Key=key)
    try:
        yield
    finally:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"again")


@contextmanager
def with_object(rehearsal: Rehearsal) -> Iterator[None]:
    """An object more in the tenant's bucket."""
    s3, key = rehearsal.stranger.client("s3"), f"{documents(rehearsal)[0]}.more"
    s3.put_object(Bucket=BUCKET, Key=key, Body=b"more")
    try:
        yield
    finally:
        s3.delete_object(Bucket=BUCKET, Key=key)


@contextmanager
def with_a_hole(rehearsal: Rehearsal) -> Iterator[None]:
    """A heartbeat less in what came back."""
    case = rehearsal.tenant.case
    survived = case.survived
    assert survived is not None
    assert survived.newest is not None
    numbers = sorted(survived.rows)
    case.survived = heartbeats.Beats({number: at for number, at in survived.rows.items() if number != numbers[-2]})
    try:
        yield
    finally:
        case.survived = survived


@contextmanager
def promised(rehearsal: Rehearsal) -> Iterator[None]:
    """A smaller RPO than the age of what it was restored to."""
    drill = rehearsal.drill
    before = drill.objective
    assert before is not None
    drill.objective = before.model_copy(update={"rpo_seconds": 0.001, "rpo_seconds_from": {}})
    try:
        yield
    finally:
        drill.objective = before


def of(database: str, case: Break) -> Callable[[Rehearsal], AbstractContextManager[None]]:
    """A break of a database on the stack's own server."""
    return lambda rehearsal: broken(case, (rehearsal.server, database))


PLAN = (
    "UPDATE plans SET name = CONCAT(name, 'x') WHERE id = 1",
    "UPDATE plans SET name = LEFT(name, CHAR_LENGTH(name) - 1) WHERE id = 1",
)
INDEX = Break("", "ALTER TABLE customers ADD KEY k (phone)", "ALTER TABLE customers DROP KEY k", "")
RECOVERIES: dict[str, tuple[Callable[[Rehearsal], AbstractContextManager[None]], str, str]] = {
    "a row of the tenant written meanwhile": (of(DATABASE, ROW), "tenant.content", "row id=7"),
    "a neighbour's row": (of(NEIGHBOUR, ROW), "tenant.neighbour", f"{NEIGHBOUR} is not what it was"),
    "a neighbour's schema": (of(NEIGHBOUR, INDEX), "tenant.neighbour", f"{NEIGHBOUR} is not what it was"),
    "the central database": (of("central", Break("", *PLAN, "")), "tenant.neighbour", "central is not what it was"),
    "an object less": (without_object, "tenant.orphans", "row without object: "),
    "an object more": (with_object, "tenant.orphans", "object without row: "),
    "a stale instant": (promised, "tenant.recovery-point", "lost more than is promised"),
    "a hole in the heartbeats": (with_a_hole, "tenant.heartbeat-gap", "1 heartbeats are missing"),
}


@pytest.mark.parametrize("name", RECOVERIES)
def test_its_own_finding_and_no_other(name: str, rehearsal: Rehearsal, swapped: Recovery) -> None:
    """Broken between swap and verification, it is found under one id; mended, nothing is found."""
    breaking, finding, says = RECOVERIES[name]
    assert swapped.differences == []
    with breaking(rehearsal):
        _, found = rehearsal.recovered()
    assert list(found) == [finding]
    assert says in found[finding]
    assert rehearsal.recovered()[1] == {}


def test_failed_jobs_are_a_warning(rehearsal: Rehearsal, swapped: Recovery) -> None:
    """A failed job that names the tenant, in JSON as PHP writes it, is told, and fails nothing."""
    assert swapped.differences == []
    row = "('j-1', 'redis', 'default', '{\"tenant\": \"o\\'brien-b\\\\u00fcro\"}', '-')"
    adding = f"INSERT INTO failed_jobs (uuid, connection, queue, payload, exception) VALUES {row}"  # noqa: S608 (its own)
    job = Break("", adding, "DELETE FROM failed_jobs WHERE uuid = 'j-1'", "")
    with broken(job, (rehearsal.server, "central")):
        _, found = rehearsal.recovered()
    assert found == {}
    assert [(one.id, one.severity) for one in rehearsal.drill.findings] == [("tenant.jobs", "warning")]
    assert "j-1 of default" in rehearsal.drill.findings[0].detail


def test_a_database_that_is_gone_or_new() -> None:
    """Told in words, beside those that are not what they were."""
    assert neighbours.disturbed({"a": "1", "b": "2", "c": "3"}, {"b": "2", "c": "4", "d": "5"}) == [
        "a is gone",
        "d is new",
        "c is not what it was",
    ]


def test_nothing_is_left(
    battered_stack: Path, directory: Path, before: dict[str, Any], rehearsal: Rehearsal, swapped: Recovery
) -> None:
    """When it ends, the tenant has its lost row again; instance, groups, copies and dumps are gone, and every other
    database is what it was."""
    assert swapped.lost
    assert files(directory / "state")
    rehearsal.exercise.settle()
    assert on(rehearsal.server, DATABASE, "SELECT COUNT(*) FROM settings WHERE name = 'late'") == [(1,)]
    after = held(hands(battered_stack)) | restored.standing(Stranger(battered_stack))
    assert after["databases"].pop(DATABASE) == rehearsal.tenant.case.before.safety.digest
    assert after["status"].pop() == (SLUG, "active")
    expected = dict(before["databases"])
    del after["databases"]["central"], expected["central"]
    assert after == before | {"databases": expected}
    assert files(directory / "state") == []
    assert tenant_steps.orphaned(rehearsal.exercise.aws, rehearsal.server, rehearsal.tenant.case.before.tenancy) == []
