"""Lambda: a function as a typed value, what keeps it from being invoked, and that each of these is undone exactly."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pytest_envdr import undo
from pytest_envdr.aws import Aws, awslambda
from pytest_envdr.errors import AwsError, NotFound
from pytest_envdr.journal import Header, Journal
from pytest_envdr.sandbox.control_plane import awslambda as sandboxed
from pytest_envdr.sandbox.control_plane import cloudwatch, logs, sqs
from pytest_envdr.waiting import wait_until
from tests import account
from tests.sandbox.control_plane.lambda_rig import BROKEN, ECHO, Rig
from tests.sandbox.control_plane.served import ACCOUNT, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REGION = "sa-east-1"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:given-up"
RULE = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/bus/rule"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Lambda in a sandbox."""
    services = {"lambda": sandboxed, "sqs": sqs, "logs": logs, "cloudwatch": cloudwatch}
    directory = tmp_path_factory.mktemp("lambda")
    with serving(directory, services, region=REGION, network="127.40.0.0/16", speed=100) as served:
        yield Rig(served)


@pytest.fixture
def journal(rig: Rig, tmp_path: Path) -> Iterator[Journal]:
    """An open journal."""
    with Journal.open(tmp_path / "journal", Header("ex-7", ACCOUNT, REGION, rig.served.world.endpoint)) as journal:
        yield journal


@pytest.fixture
def aws(rig: Rig, journal: Journal) -> Aws:
    """The account."""
    return Aws(account.stack(endpoint=rig.served.world.endpoint, region=REGION), journal)


def ready(aws: Aws, name: str) -> awslambda.Function:
    """The function, as soon as no update of it is under way."""
    return wait_until(lambda: awslambda.function(aws, name), lambda seen: seen.ready, what=f"{name} ready", deadline=60)


def allowed(rig: Rig, name: str, **more: str) -> None:
    """Let somebody invoke the function by its policy."""
    wanted = {"StatementId": "rule", "Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com", **more}
    rig.client("lambda").add_permission(FunctionName=name, **wanted)


def brought_back(aws: Aws, journal: Journal) -> list[str]:
    """Undo, and how each entry came back; nothing is owed then."""
    how = [done.how for done in undo.replay(aws, journal)]
    assert journal.owed() == []
    return how


def test_a_function_is_a_typed_value(rig: Rig, aws: Aws) -> None:
    """State, handler, code and where it writes; where its events go that were given up; what is not there is told."""
    name = rig.function(ECHO)
    seen = awslambda.function(aws, name)
    row = rig.client("lambda").get_function_configuration(FunctionName=name)
    assert (seen.name, seen.arn, seen.code_sha256) == (name, row["FunctionArn"], row["CodeSha256"])
    assert (seen.state, seen.ready, seen.handler, seen.runtime) == ("Active", True, "function.handler", "python3.12")
    assert (seen.dead_letters, seen.log_group) == ("", f"/aws/lambda/{name}")
    _, queue = rig.queue()
    rig.client("lambda").update_function_configuration(FunctionName=name, DeadLetterConfig={"TargetArn": queue})
    assert ready(aws, name).dead_letters == queue
    with pytest.raises(NotFound, match="Function nobody cannot be read"):
        awslambda.function(aws, "nobody")


def test_no_reserved_concurrency_is_not_none_left(rig: Rig, aws: Aws) -> None:
    """Nothing reserved is None and 0 is 0; what is reserved is no longer the account's to share."""
    name, shared = rig.function(ECHO), awslambda.unreserved(aws)
    assert awslambda.concurrency(aws, name) is None
    for reserved in (0, 30):
        rig.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=reserved)
        assert awslambda.concurrency(aws, name) == reserved
        assert awslambda.unreserved(aws) == shared - reserved
    with pytest.raises(NotFound):
        awslambda.concurrency(aws, "nobody")


@pytest.mark.parametrize("before", [None, 0, 7])
def test_undone_it_reserves_what_it_did(rig: Rig, aws: Aws, journal: Journal, before: int | None) -> None:
    """A number comes back as that number, and none as none: 0 would keep the function from ever running again."""
    name = rig.function(ECHO)
    if before is not None:
        rig.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=before)
    awslambda.put_concurrency(aws, journal, name, 3)
    assert awslambda.concurrency(aws, name) == 3
    assert brought_back(aws, journal) == ["brought back"]
    assert awslambda.concurrency(aws, name) == before


def test_what_the_account_must_keep_cannot_be_reserved(rig: Rig, aws: Aws, journal: Journal) -> None:
    """A hundred stay unreserved: one more is refused by AWS, and the function is as it was."""
    name = rig.function(ECHO)
    most = awslambda.unreserved(aws) - awslambda.LEAST_UNRESERVED
    with pytest.raises(AwsError, match=f"{most + 1} of concurrency cannot be reserved for function {name}"):
        awslambda.put_concurrency(aws, journal, name, most + 1)
    assert awslambda.concurrency(aws, name) is None
    awslambda.put_concurrency(aws, journal, name, most)
    assert awslambda.unreserved(aws) == awslambda.LEAST_UNRESERVED
    brought_back(aws, journal)


def test_a_handler_that_is_not_there_fails_every_invocation(rig: Rig, aws: Aws, journal: Journal) -> None:
    """The code stays what it is; undone, the function answers again."""
    name = rig.function(ECHO)
    there = awslambda.function(aws, name)
    awslambda.change_handler(aws, journal, there, "nowhere.handler")
    broken = ready(aws, name)
    assert (broken.handler, broken.code_sha256) == ("nowhere.handler", there.code_sha256)
    assert awslambda.invoke(aws, journal, name, "{}").error == "Unhandled"
    assert "brought back" in brought_back(aws, journal)
    assert ready(aws, name) == there
    assert awslambda.invoke(aws, journal, name, "{}").error == ""


def test_an_answer_tells_failure_from_success(rig: Rig, aws: Aws, journal: Journal) -> None:
    """A function that fails answers 200 as well, and says why; one that is not there is refused."""
    well = awslambda.invoke(aws, journal, rig.function(ECHO), '{"slug": "müller"}')
    assert (well.status, well.error, json.loads(well.payload)) == (200, "", {"slug": "müller"})
    failed = awslambda.invoke(aws, journal, rig.function(BROKEN), "{}")
    assert (failed.status, failed.error) == (200, "Unhandled")
    assert json.loads(failed.payload)["errorMessage"] == "no bucket today"
    with pytest.raises(NotFound, match="Function nobody cannot be invoked"):
        awslambda.invoke(aws, journal, "nobody", "{}")


def test_how_events_are_dealt_with(rig: Rig, aws: Aws) -> None:
    """What was never configured is AWS's own; what was, is told."""
    name = rig.function(ECHO)
    assert awslambda.async_config(aws, name) == awslambda.AsyncConfig()
    rig.client("lambda").put_function_event_invoke_config(
        FunctionName=name,
        MaximumRetryAttempts=0,
        MaximumEventAgeInSeconds=90,
        DestinationConfig={"OnFailure": {"Destination": TOPIC}},
    )
    assert awslambda.async_config(aws, name) == awslambda.AsyncConfig(0, 90, TOPIC)


@pytest.mark.parametrize(
    "more", [{}, {"SourceArn": RULE}, {"SourceArn": RULE, "SourceAccount": ACCOUNT}, {"Principal": ACCOUNT}]
)
def test_a_permission_comes_back_as_it_was(rig: Rig, aws: Aws, journal: Journal, more: dict[str, str]) -> None:
    """Taken out of the policy and put back, it says the very same, whatever it was bound to; others stay."""
    name, client = rig.function(ECHO), rig.client("lambda")
    assert awslambda.permissions(aws, name) == []
    allowed(rig, name, StatementId="other")
    allowed(rig, name, **more)
    before = json.loads(client.get_policy(FunctionName=name)["Policy"])["Statement"]
    (wanted,) = [one for one in awslambda.permissions(aws, name) if one.sid == "rule"]
    assert wanted.source == more.get("SourceArn", "")
    awslambda.remove_permission(aws, journal, name, wanted)
    assert [one.sid for one in awslambda.permissions(aws, name)] == ["other"]
    assert brought_back(aws, journal) == ["brought back"]
    after = json.loads(client.get_policy(FunctionName=name)["Policy"])["Statement"]
    assert sorted(after, key=lambda row: row["Sid"]) == sorted(before, key=lambda row: row["Sid"])
