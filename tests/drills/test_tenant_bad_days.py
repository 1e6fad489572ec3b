"""Bad days of a tenant: refused before anything is touched, or ended with a verdict; nothing is left."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import swaps, undo
from pytest_envdr.aws import Aws
from pytest_envdr.drills import tenants
from pytest_envdr.errors import EnvdrError, NotCleared, Refused, WaitTimedOut
from pytest_envdr.exercise import Charge
from pytest_envdr.stack import Approval
from tests.drills import restored, runs
from tests.drills.stranger import Stranger
from tests.drills.tenant_rig import SCENARIO, files, hands, held, on, otherwise

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_envdr.exercise import Exercise
    from pytest_envdr.stack import Stack


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For evidence and state."""
    return tmp_path_factory.mktemp("bad-days-of-a-tenant")


@pytest.fixture(scope="module")
def begun(battered_stack: Path, directory: Path) -> Iterator[Exercise]:
    """A run on the sandbox."""
    with restored.exercising(battered_stack, directory) as begun:
        yield begun


def looked_at(stack_file: Path) -> dict[str, Any]:
    """All that a recovery may leave behind or change."""
    return held(hands(stack_file)) | restored.standing(Stranger(stack_file))


def refusal(begun: Exercise, read: Stack | None = None, *, kind: type[EnvdrError] = Refused) -> str:
    """Why the drill is refused; nothing is owed."""
    drill = begun.drill(Charge("refused", SCENARIO))
    aws = Aws(read or begun.stack, begun.journal)
    with (
        pytest.raises(kind) as refused,
        tenants.recovered(aws, begun.journal, drill, "rows deleted"),
    ):
        pass
    assert begun.journal.owed() == []
    return str(refused.value)


def approved(read: Stack, **changes: Any) -> Stack:
    """The stack with another approval of the scenario."""
    row = Approval(**{"by": "a test", "allows": ("swap",), **changes})
    return read.model_copy(update={"approvals": {SCENARIO: row}})


def test_nobody_approved(begun: Exercise) -> None:
    """No approval, one that is over, one that does not allow to swap: refused with the row to add."""
    yesterday = date(2020, 1, 1)
    none = begun.stack.model_copy(update={"approvals": {}})
    assert "is not approved" in refusal(begun, none, kind=NotCleared)
    assert "which is over" in refusal(begun, approved(begun.stack, until=yesterday), kind=NotCleared)
    assert 'allows = ["swap"]' in refusal(begun, approved(begun.stack, allows=()), kind=NotCleared)


def test_suspended_already(begun: Exercise) -> None:
    """A tenant that somebody took out of service is left as it is."""
    server = swaps.server(begun.aws)
    on(server, "central", "UPDATE tenants SET status = 'suspended' WHERE slug = 'globex'")
    try:
        assert "out of service already" in refusal(begun)
        assert not swaps.in_service(begun.aws, "globex")
    finally:
        on(server, "central", "UPDATE tenants SET status = 'active' WHERE slug = 'globex'")


def test_nothing_to_damage(begun: Exercise, directory: Path) -> None:
    """Where all tables are written to by others there is nothing to damage: refused, and the dump goes again."""
    tables = [name for (name,) in on(swaps.server(begun.aws), "tenant_globex", "SHOW TABLES")]
    read = otherwise(begun.stack, "database", declared_writes=tuple(tables))
    drill, aws = begun.drill(Charge("nothing", SCENARIO)), Aws(read, begun.journal)
    with (
        pytest.raises(Refused, match="no rows in tenant_globex"),
        tenants.recovered(aws, begun.journal, drill, "rows deleted"),
    ):
        pass
    assert [entry.act for entry in begun.journal.owed()] == ["mariadb.DumpDatabase"]
    undo.replay(aws, begun.journal)
    assert files(directory / "state") == []


@pytest.mark.sweep
def test_a_user_who_names_nobody(battered_stack: Path, tmp_path: Path) -> None:
    """`--envdr-tenant nobody`: an error that tells which tenants there are, and nothing is touched."""
    before, place = looked_at(battered_stack), runs.Place(tmp_path)
    chosen = ("-m", SCENARIO, "-k", "overwritten", "--envdr-tenant", "nobody")
    code, said = runs.ended(runs.begin(place, battered_stack, *chosen))
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "there is no tenant nobody; there are acme, globex (2)" in said
    assert place.changes == []
    assert place.drill["verdict"] != "passed"
    assert looked_at(battered_stack) == before


@pytest.mark.sweep
def test_logs_that_are_not_archived(battered_stack: Path, begun: Exercise, directory: Path) -> None:
    """The instant cannot be restored within twice the RTO: a verdict; the tenant gets its data back and is in service,
    and nothing is left."""
    before, drill = looked_at(battered_stack), begun.drill(Charge("not archived", SCENARIO))
    assert drill.objective is not None
    with tenants.recovered(begun.aws, begun.journal, drill, "table dropped") as tenant:
        tenant.wait_until_seen()
        tenant.case.fault = datetime.now(UTC) + timedelta(hours=1)
        drill.objective = drill.objective.model_copy(update={"rto_seconds": 0.5})
        with pytest.raises(WaitTimedOut, match="binary logs archived up to"):
            tenant.restore()
        assert not swaps.in_service(begun.aws, "globex")
        with pytest.raises(Refused, match="was not restored yet"):
            tenant.extract()
    begun.settle()
    assert looked_at(battered_stack) == before
    assert files(directory / "state") == []
