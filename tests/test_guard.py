"""Clearance: what is refused is refused before a byte is sent."""

from __future__ import annotations

import socket
import threading
from datetime import date
from typing import TYPE_CHECKING

import pytest

from pytest_envdr import guard
from pytest_envdr.aws import Aws, ecs, sts
from pytest_envdr.errors import NotCleared, UsageError
from pytest_envdr.journal import Header, Inverse, Journal
from tests import account

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TODAY = date(2026, 3, 1)


class Listener:
    """A socket that takes connections and keeps what it was sent."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._server = socket.create_server((host, 0))
        self.port: int = self._server.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()

    def close(self) -> None:
        """Listen no longer."""
        self._server.close()


@pytest.fixture
def outside() -> Iterator[Listener]:
    """A server on an address of this machine that is not a loopback one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: this only asks which address would be used
        except OSError:
            pytest.skip("this machine has no address but loopback")
        host = probe.getsockname()[0]
    listener = Listener(host)
    yield listener
    listener.close()


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:5000",
        "http://127.45.6.7:5000",
        "http://localhost:5000",
        "http://[::1]:5000",
        "https://127.0.0.1",
    ],
)
def test_loopback_is_cleared(endpoint: str) -> None:
    """Every loopback address is cleared, by number or by name."""
    guard.check_endpoint(account.stack(endpoint=endpoint))


@pytest.mark.parametrize(
    "endpoint",
    [
        None,
        "http://192.0.2.1:5000",
        "http://0.0.0.0:5000",
        "http://[2001:db8::1]:5000",
        "https://10.0.0.1",
        "http://127.0.0.1@192.0.2.1:5000",
        "http://169.254.169.254",
    ],
)
def test_anything_else_is_refused_with_the_reason(endpoint: str | None) -> None:
    """AWS itself, and every endpoint elsewhere, is refused: clearance for accounts is not built yet."""
    with pytest.raises(NotCleared, match=r"(?s)clearance for accounts is not built yet.*Looked at: .*stack.toml"):
        guard.check_endpoint(account.stack(endpoint=endpoint))


@pytest.mark.parametrize("endpoint", ["", "127.0.0.1:5000", "ftp://127.0.0.1", "http://", "http://127.0.0.1:port"])
def test_what_is_no_url_is_the_users_mistake(endpoint: str) -> None:
    """An endpoint that is no URL is a usage error that names file and key."""
    with pytest.raises(UsageError, match="is no URL") as caught:
        guard.check_endpoint(account.stack(endpoint=endpoint))
    assert "stack.toml: endpoint" in str(caught.value)


def test_an_unknown_host_is_the_users_mistake() -> None:
    """A host that has no address is a usage error."""
    with pytest.raises(UsageError, match="not known"):
        guard.check_endpoint(account.stack(endpoint="http://no-such-host.invalid:5000"))


def test_nothing_is_sent_to_an_endpoint_that_is_not_cleared(outside: Listener) -> None:
    """A server that listens elsewhere sees no connection at all."""
    endpoint = f"http://{outside.host}:{outside.port}"
    with pytest.raises(NotCleared):
        sts.identity(Aws(account.stack(endpoint=endpoint)))
    assert outside.connections == 0


def test_a_request_to_elsewhere_is_refused_even_with_a_cleared_endpoint(outside: Listener) -> None:
    """What a client would send to another host than the stack file's endpoint is not sent."""
    aws = Aws(account.stack())
    elsewhere = f"http://{outside.host}:{outside.port}/queue"

    def redirected(request: object, **_: object) -> None:
        request.url = elsewhere  # type: ignore[attr-defined]

    aws.client("sts").meta.events.register("request-created", redirected)
    with pytest.raises(NotCleared, match="alone is cleared"):
        sts.identity(aws)
    assert outside.connections == 0


def test_credentials_of_another_account_are_refused() -> None:
    """The credentials' account must be the stack's; the refusal names both."""
    stack = account.stack(account="999999999999")
    guard.check_account(account.stack(), sts.account(Aws(account.stack())))
    with pytest.raises(NotCleared, match=rf"{account.ACCOUNT}.*999999999999"):
        guard.check_account(stack, sts.account(Aws(stack)))


@pytest.mark.parametrize("until", [None, TODAY, date(2027, 1, 1)])
def test_an_approval_holds_until_its_day_is_over(until: date | None) -> None:
    """A row without a date holds, and so does one on its last day."""
    stack = account.stack(approvals={"ecs_failover": {"by": "ann", "until": until}})
    guard.check_approval(stack, "ecs_failover", TODAY)


@pytest.mark.parametrize(
    ("approvals", "why"),
    [
        ({}, "is not approved"),
        ({"database_restore": {"by": "ann"}}, "is not approved"),
        ({"ecs_failover": {"by": "ann", "until": date(2026, 2, 28)}}, "until 2026-02-28, which is over"),
    ],
)
def test_what_is_not_approved_is_refused_with_the_row_to_add(approvals: dict[str, object], why: str) -> None:
    """No row, another scenario's, or an expired one: refused, with what it breaks and the row to add."""
    with pytest.raises(NotCleared, match=why) as caught:
        guard.check_approval(account.stack(approvals=approvals), "ecs_failover", TODAY)
    assert "[approvals.ecs_failover]" in str(caught.value)
    assert "every task of one service" in str(caught.value)


@pytest.mark.parametrize(
    ("approval", "why"),
    [
        ({}, "swap is not allowed for this stack"),
        ({"allows": ("merge", "cutover")}, "swap is not allowed for this stack"),
        ({"allows": ("swap",), "until": date(2026, 2, 28)}, "until 2026-02-28, which is over"),
    ],
)
def test_what_goes_further_than_the_scenario_must_be_allowed_by_name(approval: dict[str, object], why: str) -> None:
    """An approval of the scenario alone does not let a recovered database be swapped in; nor does an expired one."""
    stack = account.stack(approvals={"single_tenant_recovery": {"by": "ann", **approval}})
    with pytest.raises(NotCleared, match=why):
        guard.check_allowed(stack, "single_tenant_recovery", "swap", TODAY)


def test_what_is_allowed_by_name_may_be_done() -> None:
    """The approval names it, and holds."""
    stack = account.stack(approvals={"single_tenant_recovery": {"by": "ann", "allows": ("swap",), "until": TODAY}})
    guard.check_allowed(stack, "single_tenant_recovery", "swap", TODAY)


@pytest.mark.parametrize(
    "operation",
    ["ecs.DescribeServices", "sts.GetCallerIdentity", "ecs.ListTasks", "logs.FilterLogEvents", "sqs.ReceiveMessage"],
)
def test_reading_is_not_changing(operation: str) -> None:
    """What only reads needs no intent."""
    assert not guard.mutating(operation)


@pytest.mark.parametrize(
    "operation",
    [
        "ecs.UpdateService",
        "sqs.DeleteQueue",
        "sns.Publish",
        "cloudwatch.SetAlarmState",
        "ecs.SomethingNew",
        "s3.Getaway",
    ],
)
def test_what_is_not_known_to_read_changes(operation: str) -> None:
    """Only names that begin with a whole reading word read; whatever is new counts as changing."""
    assert guard.mutating(operation)


def test_no_call_changes_aws_without_an_open_intent(tmp_path: Path) -> None:
    """A changing call is refused by the client itself, before the request, unless its intent lies on disk unanswered;
    even through the bare boto3 client."""
    name = account.ecs_service(desired=2)
    calls: list[str] = []
    header = Header("ex", account.ACCOUNT, account.REGION, account.endpoint())
    with Journal.open(tmp_path / "journal", header) as journal:
        for aws in (Aws(account.stack(), journal), Aws(account.stack())):
            aws.client("ecs").meta.events.register("before-send", lambda **_: calls.append("sent"))
            with pytest.raises(NotCleared, match="before its inverse lies on disk"):
                aws.client("ecs").update_service(cluster=account.CLUSTER, service=name, desiredCount=0)
        assert calls == []
        aws = Aws(account.stack(), journal)
        ecs.set_desired_count(aws, journal, ecs.service(aws, name, account.CLUSTER), count=0)
        with pytest.raises(NotCleared):
            aws.client("ecs").update_service(cluster=account.CLUSTER, service=name, desiredCount=5)
        with pytest.raises(NotCleared), journal.intending("sqs.CreateQueue", {}, inverse=Inverse.healed("nothing")):
            aws.client("ecs").update_service(cluster=account.CLUSTER, service=name, desiredCount=5)
    assert account.desired_count(name) == 0


def test_no_third_region() -> None:
    """Beside its own Region only the one that the stack file names as standby is cleared."""
    stack = account.stack(standby_region="eu-central-1")
    there = Aws(stack).elsewhere("eu-central-1")
    assert there.stack.region == "eu-central-1"
    assert there.elsewhere(account.REGION).stack.region == account.REGION
    with pytest.raises(NotCleared, match="Region us-east-1 is not cleared"):
        there.elsewhere("us-east-1")
    with pytest.raises(NotCleared, match="none to be built again in"):
        Aws(account.stack()).elsewhere("eu-central-1")
