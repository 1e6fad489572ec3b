"""Each smoke test is seen to pass where all is well, and to fail where exactly what it asks for is not so.

The Region that is asked is the one that the sandbox's stack runs in: it takes the standby's part.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import mariadb, stack
from pytest_envdr.aws import Aws, rds
from pytest_envdr.drills import dependencies, restores, smoke_tests
from pytest_envdr.drills.smoke_tests import Place, Suite
from pytest_envdr.errors import StackFileError
from pytest_envdr.exercise import Charge
from tests.drills import restored
from tests.drills.stranger import Stranger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from pytest_envdr.drills import Drill
    from pytest_envdr.mariadb import Server

PASSING = {
    "http probe of api",
    "job probe of worker",
    "heartbeat probe of scheduler",
    "websocket probe of reverb",
    "http probe of tenant",
    "http probe of hq",
    "database of api",
    "database of tenant",
    "database of hq",
    "page /api/tenants of api",
    "page /hq/tenants of hq",
    "known data",
    "a tenant's user logs in",
    "a session of before",
}


@dataclass(frozen=True)
class Rig:
    """The smoke tests of the Region that runs.

    Attributes:
        suite: as a drill would have it.
        server: the Region's database.
        drill: whose clock is used.
        stranger: who breaks something.
    """

    suite: Suite
    server: Server
    drill: Drill
    stranger: Stranger

    def wrong(self, **otherwise: Any) -> dict[str, str]:
        """The tests that fail, and how, with a suite that is otherwise in this."""
        return {one.test: one.wrong for one in replace(self.suite, **otherwise).run(self.drill) if not one.passed}

    def in_database(self, statement: str) -> None:
        """As whoever has the secret."""
        with mariadb.session(self.server) as cursor:
            cursor.execute(statement)


@pytest.fixture(scope="module")
def rig(sandbox_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The sandbox, whose tenant is known."""
    with restored.exercising(sandbox_stack, tmp_path_factory.mktemp("smoke")) as exercise:
        aws, row, database = exercise.aws, exercise.stack.secondary, exercise.stack.database
        assert row is not None
        assert database is not None
        server = restores.source_server(aws, rds.instance(aws, database.instance))
        with mariadb.session(server) as cursor:
            identity = mariadb.identity(cursor)
        places = smoke_tests.places(exercise.stack, dependencies.balancers(aws))
        suite = Suite(aws, row, places, identity, smoke_tests.remembered(aws, row))
        yield Rig(suite, server, exercise.drill(Charge("smoke", "regional_failover")), Stranger(sandbox_stack))


def test_all_pass_where_all_is_well(rig: Rig) -> None:
    """Every one was asked, through its load balancer and as its host; what asks the database says which answered."""
    outcomes = rig.suite.run(rig.drill)
    assert {one.test: one.wrong for one in outcomes} == dict.fromkeys(PASSING, "")
    assert all(one.place.url and one.place.host for one in outcomes)
    assert {one.server for one in outcomes if one.test.startswith("database of")} == {rig.suite.server}


def test_another_answer_than_the_wanted_one_fails(rig: Rig) -> None:
    """Another server, a row that is not there, a session that nobody began, a password that is not the user's, a page
    that there is not: each fails its own test and says why. The rest goes on."""
    row, known = rig.suite.row, rig.suite.known
    wrong = rig.wrong(
        server="77@standby:3306",
        known=replace(known, records=(*known.records, '{"id": -1}'), token="another"),  # noqa: S106 (one that must not be taken)
        row=row.model_copy(
            update={"login": row.login.model_copy(update={"password": "another"}), "pages": {"api": "/not/there"}}
        ),
    )
    assert wrong == {
        **dict.fromkeys(("database of api", "database of tenant", "database of hq"), f"it asks {rig.suite.server}"),
        "page /not/there of api": "http 404",
        "known data": "1 known records are missing",
        "a tenant's user logs in": "http 401: no token",
        "a session of before": "http 401: the session is not known",
    }


def test_a_service_that_nobody_answers_for_fails(rig: Rig) -> None:
    """A load balancer that is not there, and one that knows no such host: its tests fail, and no others."""
    nowhere, strange = Place("http://127.0.0.1:1", "hq.envelope.test"), rig.suite.places["reverb"]
    places = {**rig.suite.places, "hq": nowhere, "reverb": replace(strange, host="strange.example")}
    row = rig.suite.row.model_copy(update={"pages": {}})
    wrong = rig.wrong(places=places, row=row)
    assert wrong.keys() == {"http probe of hq", "database of hq"}


@pytest.mark.parametrize("page", ["/t/{slug}/not-there", "/t/{slug}/me"])
def test_a_tenant_of_whom_nothing_is_known_is_refused(sandbox_stack: Path, page: str) -> None:
    """Known data that are none would be found in any Region: nothing could fail."""
    read = stack.read(sandbox_stack)
    assert read.drill_tenant is not None
    assert read.secondary is not None
    tenant = read.drill_tenant.model_copy(update={"page": page})
    aws = Aws(read.model_copy(update={"drill_tenant": tenant}))
    with pytest.raises(StackFileError, match="Nothing is known of tenant"):
        smoke_tests.remembered(aws, read.secondary)


@contextmanager
def down(rig: Rig, word: str) -> Iterator[None]:
    """A service that has no task."""
    before = rig.stranger.service(word)["desiredCount"]
    rig.stranger.change(word, desiredCount=0)
    rig.stranger.wait_until_steady(word)
    try:
        yield
    finally:
        rig.stranger.change(word, desiredCount=before)
        rig.stranger.wait_until_steady(word)


@contextmanager
def without_the_table(rig: Rig, table: str) -> Iterator[None]:
    """A table of the central database that nobody finds."""
    rig.in_database(f"RENAME TABLE central.{table} TO central.{table}_gone")
    try:
        yield
    finally:
        rig.in_database(f"RENAME TABLE central.{table}_gone TO central.{table}")


@dataclass(frozen=True)
class Broken:
    """What is broken, and which tests must fail of it; a service that is down may be asked for more than its probe."""

    name: str
    by: Callable[[Rig], AbstractContextManager[None]]
    fails: set[str]


BROKEN = [
    Broken("no worker", lambda rig: down(rig, "worker"), {"job probe of worker"}),
    Broken("no scheduler", lambda rig: down(rig, "scheduler"), {"heartbeat probe of scheduler"}),
    Broken("no reverb", lambda rig: down(rig, "reverb"), {"websocket probe of reverb"}),
    Broken("no hq", lambda rig: down(rig, "hq"), {"http probe of hq", "database of hq", "page /hq/tenants of hq"}),
    Broken(
        "nothing can be written",
        lambda rig: without_the_table(rig, "dr_probe"),
        {
            *(f"{what} of {word}" for what in ("http probe", "database") for word in ("api", "tenant", "hq")),
            "websocket probe of reverb",
        },
    ),
]


@pytest.mark.sweep
@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
def test_what_is_broken_fails_its_own_test(rig: Rig, broken: Broken) -> None:
    """A job that nobody takes, a beat that does not come, a frame without an answer, a row that cannot be written."""
    with broken.by(rig):
        wrong = rig.wrong()
    assert wrong.keys() == broken.fails
    assert rig.wrong() == {}
