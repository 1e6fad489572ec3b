"""Undo: whatever was done, and wherever it was cut off, the state before comes back, and only that."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_envdr import remains, swaps, undo
from pytest_envdr.aws import Aws, application_autoscaling, ecs, sns, sqs
from pytest_envdr.errors import NotFound, UndoFailed
from pytest_envdr.journal import Header, Inverse, Journal
from pytest_envdr.terraform import DESTROY
from tests import account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal lies."""
    return tmp_path / "journals" / "target.jsonl"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    """An open journal of the account."""
    with opened(path) as journal:
        yield journal


@pytest.fixture
def calls() -> list[str]:
    """The operations that were called, in order."""
    return []


@pytest.fixture
def aws(journal: Journal, calls: list[str]) -> Aws:
    """The account, under the journal's guard."""
    return Aws(account.stack(), journal, lambda call: calls.append(f"{call.service}.{call.operation}"))


@pytest.fixture
def topic() -> str:
    """A topic of this test's own."""
    return str(account.plain("sns").create_topic(Name=account.unique("topic"))["TopicArn"])


def opened(path: Path) -> Journal:
    return Journal.open(path, Header("ex", account.ACCOUNT, account.REGION, account.endpoint()))


def scaling(name: str, **suspended: bool) -> dict[str, bool]:
    """Set and read what of a service's scaling is suspended, as AWS itself says it."""
    client = account.plain("application-autoscaling")
    resource = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}
    arn = f"service/{account.CLUSTER}/{name}"
    if suspended:
        client.register_scalable_target(ResourceId=arn, SuspendedState=suspended, **resource)
    target = client.describe_scalable_targets(ResourceIds=[arn], **resource)["ScalableTargets"][0]
    nothing = dict.fromkeys(application_autoscaling.ALL.state, False)
    return nothing | dict(target.get("SuspendedState", {}))


def queues() -> list[str]:
    """The queues that there are."""
    return [url.rpartition("/")[2] for url in account.plain("sqs").list_queues().get("QueueUrls", [])]


def target_of(aws: Aws, name: str) -> application_autoscaling.ScalableTarget:
    found = application_autoscaling.scalable_target(aws, f"service/{account.CLUSTER}/{name}")
    assert found is not None
    return found


def lowered(aws: Aws, journal: Journal, name: str, *, count: int = 0) -> None:
    ecs.set_desired_count(aws, journal, ecs.service(aws, name, account.CLUSTER), count=count)


def test_the_full_outage_is_put_back_in_the_right_order(aws: Aws, journal: Journal, calls: list[str]) -> None:
    """Suspended, then lowered: the count is raised first, scaling resumed after, and both are seen to be back."""
    name = account.ecs_service(desired=2, minimum=1)
    application_autoscaling.suspend(aws, journal, target_of(aws, name))
    lowered(aws, journal, name)
    assert (account.desired_count(name), set(scaling(name).values())) == (0, {True})
    calls.clear()
    done = undo.replay(aws, journal)
    assert [one.how for one in done] == ["brought back", "brought back"]
    assert (account.desired_count(name), set(scaling(name).values())) == (2, {False})
    changing = [call for call in calls if "Describe" not in call]
    assert changing == ["ecs.UpdateService", "application-autoscaling.RegisterScalableTarget"]
    assert calls[calls.index("ecs.UpdateService") + 1] == "ecs.DescribeServices"
    assert calls[-1] == "application-autoscaling.DescribeScalableTargets"
    assert journal.owed() == []


def test_a_second_replay_does_nothing(aws: Aws, journal: Journal, calls: list[str]) -> None:
    """What is reversed is not touched again."""
    name = account.ecs_service(desired=2)
    lowered(aws, journal, name)
    undo.replay(aws, journal)
    calls.clear()
    assert undo.replay(aws, journal) == []
    assert calls == []


def test_what_is_as_before_is_only_looked_at(aws: Aws, journal: Journal, calls: list[str]) -> None:
    """An entry whose state is back already (by hand, or its call never arrived) is closed without a changing call."""
    name = account.ecs_service(desired=2)
    lowered(aws, journal, name)
    account.plain("ecs").update_service(cluster=account.CLUSTER, service=name, desiredCount=2)
    calls.clear()
    assert [one.how for one in undo.replay(aws, journal)] == ["was as before"]
    assert calls == ["ecs.DescribeServices"]


@pytest.mark.parametrize(
    ("count", "now", "after", "note"),
    [
        (0, 1, 2, "brought back"),
        (0, 5, 5, "the desired count is 5, set by somebody else: left as it is"),
        (3, 3, 2, "brought back"),
        (3, 4, 4, "the desired count is 4, set by somebody else: left as it is"),
    ],
)
def test_only_this_exercises_count_is_put_back(
    aws: Aws, journal: Journal, *, count: int, now: int, after: int, note: str
) -> None:
    """Lifted part of the way it is lifted to what it was; raised above that by somebody else it is left, and said."""
    name = account.ecs_service(desired=2)
    lowered(aws, journal, name, count=count)
    account.plain("ecs").update_service(cluster=account.CLUSTER, service=name, desiredCount=now)
    assert [one.how for one in undo.replay(aws, journal)] == [note]
    assert account.desired_count(name) == after
    assert journal.owed() == []


def test_exactly_what_was_suspended_before_comes_back(aws: Aws, journal: Journal) -> None:
    """Scaling in that was suspended before the exercise stays suspended; what was not is resumed."""
    name = account.ecs_service(minimum=1)
    before = scaling(
        name, DynamicScalingInSuspended=True, DynamicScalingOutSuspended=False, ScheduledScalingSuspended=False
    )
    application_autoscaling.suspend(aws, journal, target_of(aws, name))
    assert scaling(name) != before
    undo.replay(aws, journal)
    assert scaling(name) == before


def test_resuming_never_raises_a_desired_count(aws: Aws, journal: Journal) -> None:
    """Resuming with a desired count below the minimum would raise it: refused with the reason, and still owed; after
    the count is back, it is resumed."""
    name = account.ecs_service(desired=2, minimum=2)
    application_autoscaling.suspend(aws, journal, target_of(aws, name))
    account.plain("ecs").update_service(cluster=account.CLUSTER, service=name, desiredCount=0)
    with pytest.raises(UndoFailed, match=r"raise the desired count from 0 to the minimum, 2"):
        undo.replay(aws, journal)
    assert (set(scaling(name).values()), len(journal.owed())) == ({True}, 1)
    account.plain("ecs").update_service(cluster=account.CLUSTER, service=name, desiredCount=2)
    undo.replay(aws, journal)
    assert set(scaling(name).values()) == {False}


def test_a_queue_is_deleted_and_its_subscription_removed(aws: Aws, journal: Journal, topic: str) -> None:
    """The drill's own queue and subscription are gone afterwards; somebody else's subscription stays."""
    other = account.plain("sqs").create_queue(QueueName=account.unique("oncall"))["QueueUrl"]
    arn = f"arn:aws:sqs:{account.REGION}:{account.ACCOUNT}:{other.rpartition('/')[2]}"
    account.plain("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    queue = sqs.create_queue(aws, journal, purpose="alarms", topic=topic)
    sns.subscribe_queue(aws, journal, topic, queue=queue.arn)
    assert len(sns.subscriptions(aws, topic)) == 2
    undo.replay(aws, journal)
    assert [row.endpoint for row in sns.subscriptions(aws, topic)] == [arn]
    assert queue.name not in queues()


def test_what_is_gone_already_is_as_good(aws: Aws, journal: Journal, topic: str) -> None:
    """A queue, a subscription, a topic or a scalable target that somebody removed is no failure."""
    name = account.ecs_service(minimum=1)
    application_autoscaling.suspend(aws, journal, target_of(aws, name))
    queue = sqs.create_queue(aws, journal, purpose="alarms", topic=topic)
    sns.subscribe_queue(aws, journal, topic, queue=queue.arn)
    account.plain("sqs").delete_queue(QueueUrl=queue.url)
    account.plain("sns").delete_topic(TopicArn=topic)
    account.plain("application-autoscaling").deregister_scalable_target(
        ServiceNamespace="ecs",
        ResourceId=f"service/{account.CLUSTER}/{name}",
        ScalableDimension="ecs:service:DesiredCount",
    )
    how = [one.how for one in undo.replay(aws, journal)]
    assert how == ["the topic is gone", "was as before", "the scalable target is gone"]
    assert journal.owed() == []


def test_a_one_off_task_is_stopped(aws: Aws, journal: Journal) -> None:
    """A task that was run and still runs is stopped, found by the name it was started under; another is left alone."""
    service = ecs.service(aws, account.ecs_service(desired=0), account.CLUSTER)
    task = ecs.run_task(aws, journal, service, container="app", command=["sleep", "600"])
    mine = journal.owed()
    with opened(journal.path.with_name("other.jsonl")) as others:
        other = ecs.run_task(Aws(account.stack(), others), others, service, container="app", command=["sleep", "600"])
    assert task.started_by.startswith("envdr-")
    assert [one.entry for one in undo.replay(aws, journal)] == mine
    states = {one.id: one.desired_status for one in ecs.described(aws, account.CLUSTER, [task.arn, other.arn])}
    assert states == {task.id: "STOPPED", other.id: "RUNNING"}


def test_a_stopped_task_is_healed_by_aws(aws: Aws, journal: Journal, calls: list[str]) -> None:
    """Stopping a service's task is journalled, and nothing is owed for it."""
    service = ecs.service(aws, account.ecs_service(desired=0), account.CLUSTER)
    task = ecs.run_task(aws, journal, service, container="app", command=["sleep", "600"])
    undo.replay(aws, journal)
    ecs.stop_task(aws, journal, task, cluster=account.CLUSTER, reason="x" * 300)
    assert journal.entries[-1].inverse.operation is None
    assert journal.owed() == []
    calls.clear()
    assert undo.replay(aws, journal) == []
    assert calls == []


def test_one_failure_does_not_keep_the_rest(aws: Aws, journal: Journal) -> None:
    """What fails is reported with its reason and stays owed; what can be brought back is; a later replay ends it."""
    gone, well = account.ecs_service(desired=2), account.ecs_service(desired=2)
    lowered(aws, journal, well)
    lowered(aws, journal, gone)
    journal.intend("rds.ModifyDBInstance", {}, inverse=Inverse("rds.Unknown", {}, "instance db as it was"))
    account.plain("ecs").delete_service(cluster=account.CLUSTER, service=gone, force=True)
    told: list[str] = []
    with pytest.raises(UndoFailed) as caught:
        undo.replay(aws, journal, lambda one: told.append(one.entry.inverse.restores), deadline=1)
    assert account.desired_count(well) == 2
    assert told == [f"service {well} desired count 2"]
    assert f"service {gone} is INACTIVE" in str(caught.value)
    for part in (f"service {gone} desired count 2", "knows no undo by rds.Unknown", str(journal.path), "envdr undo"):
        assert part in str(caught.value)
    assert len(journal.owed()) == 2


def test_every_inverse_that_an_act_names_has_its_row() -> None:
    """Each operation in UNDOS is one that a client knows, named service.Operation, or an act on a database or of
    Terraform, in alphabetical order."""
    aws = Aws(account.stack())
    for operation in remains.UNDOS.keys() - swaps.OPERATIONS - {DESTROY}:
        service, _, name = operation.partition(".")
        assert name in aws.client(service).meta.service_model.operation_names
    assert list(remains.UNDOS) == sorted(remains.UNDOS)


def killed(path: Path, act: str, subject: str, point: str) -> None:
    """Let a real process do an act on that journal and die at a point of it by SIGKILL."""
    order = {"path": str(path), "endpoint": account.endpoint(), "act": act, "subject": subject, "point": point}
    died = subprocess.run([sys.executable, "-m", "tests.act_and_die", json.dumps(order)], check=False)
    assert died.returncode == -signal.SIGKILL


def count_of(name: str) -> Any:
    return account.desired_count(name)


def tasks_of(_: str) -> Any:
    """The one-off tasks that shall run."""
    client = account.plain("ecs")
    arns = client.list_tasks(cluster=account.CLUSTER, desiredStatus="RUNNING")["taskArns"]
    found = client.describe_tasks(cluster=account.CLUSTER, tasks=arns)["tasks"] if arns else []
    return sorted(task["taskArn"] for task in found if task.get("startedBy", "").startswith("envdr-"))


def queues_of(_: str) -> Any:
    return [name for name in queues() if "killed" in name]


def subscriptions_of(topic: str) -> Any:
    return account.plain("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]


ACTS: dict[str, Callable[[str], Any]] = {
    "count": count_of,
    "suspend": scaling,
    "run": tasks_of,
    "queue": queues_of,
    "subscribe": subscriptions_of,
}
POINTS = [("count", point) for point in ("intended", "answered", "settled")] + [
    (act, point) for act in ("suspend", "run", "queue", "subscribe") for point in ("intended", "answered")
]


@pytest.mark.parametrize(("act", "point"), POINTS)
def test_a_killed_act_is_undone(path: Path, topic: str, act: str, point: str) -> None:
    """SIGKILL after the intent, between call and settle, or after: the next process finds it owed and brings the state
    before back; before the call nothing had changed."""
    subject = topic if act in {"queue", "subscribe"} else account.ecs_service(desired=2, minimum=1)
    state = ACTS[act]
    before = state(subject)
    killed(path, act, subject, point)
    assert (state(subject) == before) == (point == "intended")
    with opened(path) as journal:
        assert [entry.settled for entry in journal.owed()] == [point == "settled"]
        done = undo.replay(Aws(account.stack(), journal), journal)
        assert [one.how for one in done] == ["was as before" if point == "intended" else "brought back"]
    assert state(subject) == before


@pytest.mark.parametrize("point", ["answered", "reversed"])
def test_a_killed_undo_is_done_again(path: Path, point: str) -> None:
    """SIGKILL in the midst of an undo: what was not written down as reversed is looked at again, and nothing is done
    twice."""
    name = account.ecs_service(desired=2)
    killed(path, "count", name, "settled")
    killed(path, "undo", name, point)
    with opened(path) as journal:
        done = undo.replay(Aws(account.stack(), journal), journal)
        assert [one.how for one in done] == (["was as before"] if point == "answered" else [])
    assert account.desired_count(name) == 2


def test_an_act_that_aws_refuses_stays_owed_until_looked_at(aws: Aws, journal: Journal) -> None:
    """A refused call is settled as an error; its undo finds that nothing had changed."""
    name = account.ecs_service(desired=2)
    service = ecs.service(aws, name, account.CLUSTER)
    with pytest.raises(NotFound, match=r"desired count of service .* cannot be set to 0"):
        ecs.set_desired_count(aws, journal, replace(service, cluster="no-such-cluster"), count=0)
    assert "ClusterNotFound" in (journal.owed()[0].error or "")


def test_what_was_done_in_the_standby_region_is_undone_there(path: Path) -> None:
    """A queue that a drill made in the stack's standby Region is found and deleted there, and its namesake is left."""
    with opened(path) as journal:
        there = Aws(account.stack(standby_region="eu-central-1"), journal).elsewhere("eu-central-1")
        name = sqs.create_queue(there, journal, purpose="alarms", topic=account.TOPIC).name
    account.plain("sqs").create_queue(QueueName=name)
    with opened(path) as journal:
        here = Aws(account.stack(standby_region="eu-central-1"), journal)
        undo.replay(here, journal)
        with pytest.raises(NotFound):
            sqs.queue_url(here.elsewhere("eu-central-1"), name)
        assert sqs.queue_url(here, name)
