"""Whatever ends the recovery of a tenant, and whenever: the undo brings its data back, and it is in service.

Drills kill themselves around every act on a database and at random, on two tenants side by side. The instance aside
holds other data than the tenant, so that what was swapped in must go again.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import stack, swaps, undo
from pytest_envdr.aws import Aws
from pytest_envdr.journal import Header, Journal, journal_path
from pytest_envdr.mariadb import Server
from tests.drills import lanes, runs
from tests.drills.stranger import Stranger, copied
from tests.drills.tenant_deaths import Order
from tests.drills.tenant_rig import files, hands, held, on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TENANTS = ("acme", "globex")
ASIDE = "shared-for-deaths"
FAST: dict[str, Any] = {"Delay": 1, "MaxAttempts": 120}
DUMP, DAMAGE, SUSPEND, LOAD = (
    "mariadb.DumpDatabase",
    "mariadb.Execute",
    "mariadb.QuiesceTenant",
    "mariadb.LoadDatabase",
)
ACTS = [f"{DUMP} 1", f"{DAMAGE} 1", f"{SUSPEND} 1", f"{DUMP} 2", f"{LOAD} 1", f"{DUMP} 3", f"{LOAD} 2", f"{LOAD} 3"]
"""Kept, damaged, out of service, extracted, loaded beside, the damaged one kept, loaded as such, swapped in."""
STEPS = [
    f"intended {ACTS[0]}",
    *(f"answered {act}" for act in ACTS),
    *(f"intended {act}" for act in (ACTS[1], ACTS[-1])),
    *(f"settled {act}" for act in (ACTS[1], ACTS[-1])),
    f"closed {SUSPEND} 1",
    f"answered {LOAD} 4",
]
RANDOM = random.Random(20)  # noqa: S311 (instants, not secrets)
SECONDS = [milliseconds / 1000 for milliseconds in RANDOM.sample(range(1500), 20)]
"""How long after the damage a drill is killed: it acts for about a second."""


@dataclass(frozen=True)
class Death:
    """When a drill dies: at a step, or after so many seconds; on which tenant, and how that is damaged."""

    name: str
    tenant: str
    damage: str
    step: str = ""
    seconds: float = -1.0


@dataclass(frozen=True)
class Outcome:
    """How a drill died, how much it owed, and its tenant before, between and after the undo."""

    code: int
    owed: int
    before: dict[str, Any]
    between: dict[str, Any]
    after: dict[str, Any]


DEATHS = [Death(step, TENANTS[number % 2], "rows overwritten", step=step) for number, step in enumerate(STEPS)]
CHANCES = [
    Death(f"{seconds} s", TENANTS[number % 2], ("table dropped", "database dropped")[number // 2 % 2], seconds=seconds)
    for number, seconds in enumerate(SECONDS)
]


@pytest.fixture(scope="module")
def before(battered_stack: Path) -> dict[str, Any]:
    """All databases before."""
    return held(hands(battered_stack))


@pytest.fixture(scope="module")
def aside(battered_stack: Path, before: dict[str, Any]) -> Iterator[Server]:
    """An instance restored aside, whose tenants hold other data."""
    aws, rds = hands(battered_stack), Stranger(battered_stack).client("rds")
    row = aws.stack.database
    assert row is not None
    (source,) = rds.describe_db_instances(DBInstanceIdentifier=row.instance)["DBInstances"]
    groups = [group["VpcSecurityGroupId"] for group in source["VpcSecurityGroups"]]
    rds.restore_db_instance_to_point_in_time(
        SourceDBInstanceIdentifier=row.instance,
        TargetDBInstanceIdentifier=ASIDE,
        UseLatestRestorableTime=True,
        VpcSecurityGroupIds=groups,
        DBSubnetGroupName=source["DBSubnetGroup"]["DBSubnetGroupName"],
    )
    try:
        rds.get_waiter("db_instance_available").wait(DBInstanceIdentifier=ASIDE, WaiterConfig=FAST)
        (found,) = rds.describe_db_instances(DBInstanceIdentifier=ASIDE)["DBInstances"]
        login = swaps.server(aws)
        server = Server(found["Endpoint"]["Address"], found["Endpoint"]["Port"], login.user, login.password)
        for name in TENANTS:
            on(server, f"tenant_{name}", "UPDATE customers SET credit = credit + 1")
        assert before
        yield server
    finally:
        rds.delete_db_instance(DBInstanceIdentifier=ASIDE, SkipFinalSnapshot=True, DeleteAutomatedBackups=True)
        rds.get_waiter("db_instance_deleted").wait(DBInstanceIdentifier=ASIDE, WaiterConfig=FAST)


@pytest.fixture(scope="module")
def outcome_of(
    request: pytest.FixtureRequest, battered_stack: Path, aside: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Death], Outcome]]:
    """What became of a death."""
    above = tmp_path_factory.mktemp("killed-tenants")
    stacks = {name: copied(battered_stack, above / f"{name}.toml", drill_tenant={"slug": name}) for name in TENANTS}
    with obeying(above) as one, obeying(above) as other:
        processes = dict(zip(TENANTS, (one, other), strict=True))

        def do(case: Death) -> Outcome:
            state = above / case.name.replace(" ", "-")
            told = (aside.host, aside.port, aside.user, aside.password)
            order = Order(str(stacks[case.tenant]), str(state), told, case.damage, case.step, case.seconds)
            return brought_back(processes[case.tenant], order, case.tenant, state)

        cases = lanes.wanted(request, [*DEATHS, *CHANCES])
        with lanes.side_by_side(cases, lane=lambda case: case.tenant, do=do) as outcome_of:
            yield outcome_of


@contextmanager
def obeying(above: Path) -> Iterator[subprocess.Popen[str]]:
    """The process of tests/drills/tenant_deaths.py, whose temporary files are in a directory of their own."""
    scratch = above / "scratch"
    scratch.mkdir(exist_ok=True)
    command = ["env", f"TMPDIR={scratch}", sys.executable, "-m", "tests.drills.tenant_deaths"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=runs.ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
    assert list(scratch.iterdir()) == [], "neither data nor a password"


def brought_back(process: subprocess.Popen[str], order: Order, tenant: str, state: Path) -> Outcome:
    """Let a drill die, and bring back what it owes; a second time there is nothing to do."""
    assert process.stdin is not None
    assert process.stdout is not None
    read = stack.read(Path(order.stack))
    aws, target = Aws(read), (read.account, read.region, read.endpoint)
    before = of(aws, tenant, state)
    process.stdin.write(f"{json.dumps(asdict(order))}\n")
    process.stdin.flush()
    code = int(process.stdout.readline())
    between = of(aws, tenant, state)
    path = journal_path(state, *target)
    with Journal.open(path, Header("undo", *target)) as journal:
        owed = len(journal.owed())
        undo.replay(Aws(read, journal), journal)
        assert undo.replay(Aws(read, journal), journal) == []
    return Outcome(code, owed, before, between, of(aws, tenant, state))


def of(aws: Aws, tenant: str, state: Path) -> dict[str, Any]:
    """A tenant's databases, whether it is in service, and the dumps that there are."""
    own = held(aws, only=f"tenant_{tenant}")
    return {"databases": own["databases"], "status": dict(own["status"])[tenant], "dumps": files(state)}


@pytest.mark.parametrize("case", lanes.thinned(DEATHS, every=12), ids=lambda case: case.name)
def test_killed_at_a_step(case: Death, outcome_of: Callable[[Death], Outcome]) -> None:
    """SIGKILL before and after each act on a database, and between act and settle: all of it is owed, and undone."""
    outcome = outcome_of(case)
    assert outcome.code == -signal.SIGKILL
    assert outcome.owed
    if case.step != STEPS[0]:
        assert outcome.between["dumps"]
    if case.step.startswith(("answered", "settled")) and case.step != f"answered {ACTS[0]}":
        assert outcome.between["databases"] != outcome.before["databases"]
    assert outcome.after == outcome.before
    assert outcome.after["dumps"] == []


@pytest.mark.parametrize("case", lanes.thinned(CHANCES, every=10), ids=lambda case: case.name)
def test_killed_at_random(case: Death, outcome_of: Callable[[Death], Outcome]) -> None:
    """SIGKILL at an instant that nobody chose."""
    outcome = outcome_of(case)
    assert outcome.code in (-signal.SIGKILL, 0), "a fast machine is done before"
    assert outcome.owed
    assert outcome.after == outcome.before


def test_everybody_is_as_before(
    request: pytest.FixtureRequest, battered_stack: Path, before: dict[str, Any], outcome_of: Callable[[Death], Outcome]
) -> None:
    """The central database and both tenants have the digests of before, and no other database is there."""
    for case in lanes.wanted(request, [*DEATHS, *CHANCES]):
        outcome_of(case)
    assert held(hands(battered_stack)) == before
