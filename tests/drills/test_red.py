"""Each way in which a service, its alarms or its surroundings can fail turns the drill red, for the right reason.

Somebody else breaks a thing on the running sandbox, the drill is held, the thing is mended.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pymysql
import pytest

from pytest_envdr.drills import services
from pytest_envdr.errors import Refused, WaitTimedOut
from pytest_envdr.evidence import record
from tests.drills import rehearsal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_envdr.exercise import Exercise

QUICK = {"rto_seconds": 8.0, "detect_seconds": 2.0}
"""Where the alarm is not what a test is about: not waited for, and a recovery given up after a while."""


@pytest.fixture(scope="module")
def exercise(sandbox_stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exercise]:
    with rehearsal.exercise(sandbox_stack, tmp_path_factory.mktemp("red")) as exercise:
        yield exercise


@contextmanager
def changed_alarm(stack: Path, name: str, **changes: Any) -> Iterator[None]:
    """An alarm that is configured otherwise meanwhile."""
    cloudwatch = rehearsal.other(stack, "cloudwatch")
    before = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
    kept = cloudwatch.meta.service_model.operation_model("PutMetricAlarm").input_shape.members
    row = {key: value for key, value in before.items() if key in kept}
    cloudwatch.put_metric_alarm(**row | changes)
    try:
        yield
    finally:
        cloudwatch.put_metric_alarm(**row)


def quick_outage(exercise: Exercise, word: str) -> dict[str, str]:
    """What a drill of a service finds that is watched for two seconds and then brought back."""
    drill = rehearsal.drill(exercise, rto_seconds=30, detect_seconds=2)
    row = exercise.stack.services[word]
    with services.stopped(exercise.aws, exercise.journal, drill, row) as service:
        service.wait_until_seen()
        rehearsal.recovered(service)
    return rehearsal.found(drill)


def test_a_deleted_alarm_is_red(exercise: Exercise, sandbox_stack: Path) -> None:
    """An alarm that the stack file names and that does not exist would see nothing."""
    name = exercise.stack.services["hq"].alarms[0]
    with changed_alarm(sandbox_stack, name):
        rehearsal.other(sandbox_stack, "cloudwatch").delete_alarms(AlarmNames=[name])
        found = quick_outage(exercise, "hq")
    assert f"alarm {name} does not exist" in found["alarm.missing"]


def test_disabled_actions_are_red(exercise: Exercise, sandbox_stack: Path) -> None:
    """An alarm that fires and tells nobody."""
    name = exercise.stack.services["hq"].alarms[0]
    with changed_alarm(sandbox_stack, name, ActionsEnabled=False):
        found = quick_outage(exercise, "hq")
    assert f"alarm {name} has its actions disabled" in found["alarm.actions-disabled"]


def test_an_alarm_wired_to_nobody_is_red(exercise: Exercise, sandbox_stack: Path) -> None:
    """An alarm whose actions leave the topic out."""
    name = exercise.stack.services["hq"].alarms[0]
    with changed_alarm(sandbox_stack, name, AlarmActions=[]):
        found = quick_outage(exercise, "hq")
    assert exercise.stack.notifications.topic in found["alarm.not-wired"]


def test_an_alarm_that_cannot_see_an_outage_is_red(exercise: Exercise, sandbox_stack: Path) -> None:
    """With TreatMissingData `missing` a total outage ends in INSUFFICIENT_DATA: that is named, before and after."""
    name = exercise.stack.services["scheduler"].alarms[0]
    drill = rehearsal.drill(exercise, rto_seconds=30, detect_seconds=10)
    row = exercise.stack.services["scheduler"]
    with (
        changed_alarm(sandbox_stack, name, TreatMissingData="missing"),
        services.stopped(exercise.aws, exercise.journal, drill, row) as service,
    ):
        service.wait_until_seen()
        rehearsal.recovered(service)
    assert "alarm.blind-spot" in {finding.id for finding in drill.findings}
    assert "it went to INSUFFICIENT_DATA" in rehearsal.found(drill)["alarm.blind"]


def test_another_service_s_alarm_is_not_this_one_s(exercise: Exercise, sandbox_stack: Path) -> None:
    """While one service is down, another's alarm tells its own story: it is noted, and does not count as seen."""
    other = exercise.stack.services["tenant"].alarms[0]
    drill = rehearsal.drill(exercise, rto_seconds=30, detect_seconds=3)
    row = exercise.stack.services["hq"]
    with services.stopped(exercise.aws, exercise.journal, drill, row) as service:
        rehearsal.other(sandbox_stack, "cloudwatch").set_alarm_state(
            AlarmName=other, StateValue="ALARM", StateReason="a rehearsal"
        )
        service.wait_until_seen()
        rehearsal.recovered(service)
    assert f"message: {other} ALARM" in [entry.data.get("text") for entry in drill.entries if entry.kind == "note"]
    seen = drill.marked("seen")
    assert seen is None or drill.marked(f"message: {row.alarms[0]} ALARM") is not None


def test_a_removed_subscription_is_red(exercise: Exercise, sandbox_stack: Path) -> None:
    """A declared subscriber that would not have been told, though the drill's own queue is."""
    sns = rehearsal.other(sandbox_stack, "sns")
    topic, (queue,) = exercise.stack.notifications.topic, exercise.stack.notifications.subscribers
    rows = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    sns.unsubscribe(SubscriptionArn=next(row["SubscriptionArn"] for row in rows if row["Endpoint"] == queue))
    try:
        found = quick_outage(exercise, "hq")
    finally:
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    assert f"{queue} is not subscribed" in found["subscriber.missing"]


def test_a_scalable_target_that_fights_is_red(exercise: Exercise, sandbox_stack: Path) -> None:
    """Somebody registers the scalable target anew during the outage: its minimum lifts the desired count."""
    scaling = rehearsal.other(sandbox_stack, "application-autoscaling")
    drill = rehearsal.drill(exercise, rto_seconds=30, detect_seconds=4)
    with services.stopped(exercise.aws, exercise.journal, drill, exercise.stack.services["tenant"]) as service:
        scaling.register_scalable_target(
            ServiceNamespace="ecs",
            ResourceId=service.before.service.resource_id,
            ScalableDimension="ecs:service:DesiredCount",
        )
        service.wait_until_seen()
        rehearsal.recovered(service)
    assert "something else raised it again: its desired count went to 1" in rehearsal.found(drill)["outage.fought"]


def test_an_application_that_answers_500_after_restart_is_red(exercise: Exercise, sandbox_stack: Path) -> None:
    """The new tasks run and are healthy, but what clients ask for fails: they get 500."""
    drill = rehearsal.drill(exercise, **QUICK)
    row = exercise.stack.services["hq"]
    with services.stopped(exercise.aws, exercise.journal, drill, row) as service:
        rename_table(sandbox_stack, "dr_probe", "dr_probe_away")
        try:
            with pytest.raises(WaitTimedOut):
                rehearsal.recovered(service)
        finally:
            rename_table(sandbox_stack, "dr_probe_away", "dr_probe")
    assert "http 500 last" in rehearsal.found(drill)["recovery.none"]


def test_a_service_that_flaps_is_red(exercise: Exercise, sandbox_stack: Path) -> None:
    """It comes back each time, and each time its task dies again before it held."""
    drill = rehearsal.drill(exercise, **QUICK)
    row = exercise.stack.services["hq"]
    over = threading.Event()

    def kill() -> None:
        while not over.wait(4):
            restart(sandbox_stack, row.cluster, row.name)

    killer = threading.Thread(target=kill)
    with services.stopped(exercise.aws, exercise.journal, drill, row) as service:
        killer.start()
        try:
            with pytest.raises(WaitTimedOut):
                rehearsal.recovered(service)
        finally:
            over.set()
            killer.join()
    assert "came back and did not hold" in rehearsal.found(drill)["recovery.flapping"]


def test_a_late_recovery_is_measured_and_red(exercise: Exercise) -> None:
    """A recovery above its RTO has an RTA all the same, and the verdict is failed."""
    drill = rehearsal.drill(exercise, rto_seconds=3)  # a recovery must hold for 3 s, so this cannot be met
    with services.crashed(exercise.aws, exercise.journal, drill, exercise.stack.services["hq"]) as service:
        service.wait_until_replaced()
        recovery = service.wait_until_recovered()
    late = record.load(exercise.directory).scenarios[-1].drills[-1]
    assert late.rta_seconds == pytest.approx(recovery.rta_seconds, abs=0.01)
    assert recovery.rta_seconds > drill.rto_seconds
    assert late.verdict == "failed"


def test_an_alarm_in_alarm_is_refused(exercise: Exercise, sandbox_stack: Path) -> None:
    """It would tell nobody of this outage: actions run on a change of state only. Nothing was touched."""
    name = exercise.stack.services["hq"].alarms[0]
    with changed_alarm(sandbox_stack, name, Threshold=1000):
        rehearsal.wait_until_firing(sandbox_stack, name)
        refused(exercise, "hq", "in ALARM before the drill")


def test_a_deployment_in_progress_is_refused(exercise: Exercise, sandbox_stack: Path) -> None:
    """Whatever came after would be the deployment's doing as well. Nothing was touched."""
    row = exercise.stack.services["hq"]
    rehearsal.other(sandbox_stack, "ecs").update_service(cluster=row.cluster, service=row.name, forceNewDeployment=True)
    try:
        refused(exercise, "hq", "is not steady", settle_seconds=0.0)
    finally:
        rehearsal.wait_until_steady(exercise, "hq")


def test_a_service_that_is_down_already_is_refused(exercise: Exercise, sandbox_stack: Path) -> None:
    """An outage of nothing proves nothing."""
    row = exercise.stack.services["hq"]
    ecs = rehearsal.other(sandbox_stack, "ecs")
    ecs.update_service(cluster=row.cluster, service=row.name, desiredCount=0)
    try:
        refused(exercise, "hq", "wants no task")
    finally:
        ecs.update_service(cluster=row.cluster, service=row.name, desiredCount=1)
        rehearsal.wait_until_steady(exercise, "hq")


def refused(exercise: Exercise, word: str, reason: str, *, settle_seconds: float = 1.0) -> None:
    """The drill is refused for that reason, and no call that changes anything was made."""
    drill = rehearsal.drill(exercise)
    before = len(exercise.journal.entries)
    with (
        pytest.raises(Refused, match=reason),
        services.stopped(
            exercise.aws, exercise.journal, drill, exercise.stack.services[word], settle_seconds=settle_seconds
        ),
    ):
        pytest.fail("it was not refused")
    assert len(exercise.journal.entries) == before


def restart(stack: Path, cluster: str, service: str) -> None:
    """Somebody stops every task of a service."""
    ecs = rehearsal.other(stack, "ecs")
    for task in ecs.list_tasks(cluster=cluster, serviceName=service)["taskArns"]:
        ecs.stop_task(cluster=cluster, task=task)


def rename_table(stack: Path, old: str, new: str) -> None:
    """Somebody migrates the central database."""
    vault = rehearsal.other(stack, "secretsmanager")
    secret = json.loads(vault.get_secret_value(SecretId="envelope-prod/db")["SecretString"])
    with pymysql.connect(
        host=secret["host"],
        port=int(secret["port"]),
        user=secret["username"],
        password=secret["password"],
        database="central",
    ) as connection:
        connection.cursor().execute(f"RENAME TABLE {old} TO {new}")
